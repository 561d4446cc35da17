//! RTP in, WebM or Matroska bytes out. Sans-I/O: no clock, no socket, no file, no task.
//!
//! A [`Recorder`] is driven by [`Input`]s and drained by [`Recorder::poll_output`] after each of them, until it
//! answers [`Output::Timeout`]. What it wants written is data ([`Output::Append`], [`Output::Patch`]).

mod config;
mod context;
mod depacketize;
mod file;
mod frame;
mod input;
mod interleave;
mod layer;
mod output;
mod pause;
mod pushed;
mod recorder;
mod reorder;
mod stream;
mod sync;
mod time;
mod track;
mod webm;

pub use config::RecorderConfig;
pub use input::{
    Anchor, Encoding, Input, LayerId, MediaKind, NtpTime, PayloadFormat, Rotation, RtpPacket, TrackConfig,
    TrackId,
};
pub use output::{
    Codec, Container, FinalBytes, KeyframeReason, MediaTime, Output, RecordingSummary, Statistics,
    TrackStatistics, TrackSummary,
};
pub use pushed::{AudioChunk, AudioError, AudioFormat, AudioFrame, PushedAudio};
pub use recorder::Recorder;
pub use webm::{RecoverError, Recovery, Repair, recover};
