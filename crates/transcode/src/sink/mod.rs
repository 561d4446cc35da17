//! Writes the output: encoders and containers.

mod frame_rate_limit;
mod mux;
mod picture;
mod segments;
mod sound;

pub(crate) use mux::{Container, Mux, StreamId};
pub(crate) use picture::{PictureCodec, PictureEncoder, PictureSpec, Pictures};
pub(crate) use segments::{Cutter, Pieces, segment_path};
pub(crate) use sound::{SoundCodec, SoundEncoder, SoundSpec, WAV_RATES};

use ffmpeg_next::{self as ff, Rational};

use crate::TranscodeError;

/// Receives the packets of encoders.
pub(crate) trait PacketSink {
    /// Whether the headers of encoders are stored in the container's header.
    fn wants_global_header(&self) -> bool;

    /// Adds a stream for the packets of `encoder`.
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

/// The encoder of this name, if the libav of this machine has it.
fn encoder(name: &str) -> Result<ff::Codec, TranscodeError> {
    ff::encoder::find_by_name(name).ok_or_else(|| TranscodeError::NoEncoder { name: name.to_owned() })
}
