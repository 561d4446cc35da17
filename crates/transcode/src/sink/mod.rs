//! Writing the output: encoders and the container.

mod frame_rate_limit;
mod mux;
mod picture;
mod segments;
mod sound;

pub(crate) use mux::{Container, Mux, StreamId};
pub(crate) use picture::{PictureCodec, PictureEncoder, PictureSpec, Pictures};
pub(crate) use segments::{Cutter, Pieces, segment_path};
pub(crate) use sound::{SoundCodec, SoundEncoder, SoundSpec};

use ffmpeg_next::{self as ff, Rational};

use crate::TranscodeError;

/// Where an encoder's packets go.
pub(crate) trait PacketSink {
    /// Whether encoders must put their headers into the container's.
    fn wants_global_header(&self) -> bool;

    /// A stream of what `encoder` makes.
    fn add_encoded(
        &mut self,
        encoder: &ff::codec::encoder::Encoder,
        time_base: Rational,
    ) -> Result<StreamId, TranscodeError>;

    /// Writes a packet whose times are in units of `time_base`.
    fn write(
        &mut self,
        stream: StreamId,
        packet: ff::Packet,
        time_base: Rational,
    ) -> Result<(), TranscodeError>;
}

/// The encoder of that name, if this machine's libav has it.
fn encoder(name: &str) -> Result<ff::Codec, TranscodeError> {
    ff::encoder::find_by_name(name).ok_or_else(|| TranscodeError::NoEncoder { name: name.to_owned() })
}
