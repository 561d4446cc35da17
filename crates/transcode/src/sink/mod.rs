//! Writing the output: encoders and the container.

mod mux;
mod picture;
mod sound;

pub(crate) use mux::{Container, Mux, StreamId};
pub(crate) use picture::{PictureCodec, PictureEncoder, PictureSpec};
pub(crate) use sound::{SoundCodec, SoundEncoder, SoundSpec};

use ffmpeg_next as ff;

use crate::TranscodeError;

/// The encoder of that name, if this machine's libav has it.
fn encoder(name: &str) -> Result<ff::Codec, TranscodeError> {
    ff::encoder::find_by_name(name).ok_or_else(|| TranscodeError::NoEncoder { name: name.to_owned() })
}
