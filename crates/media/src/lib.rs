//! Records RTP to WebM or Matroska. Sans-I/O: it has no clock, no socket, no file and no task.
//!
//! A [`Recorder`] handles [`Input`]s. After each of them its owner calls [`Recorder::poll_output`] until it returns
//! [`Output::Timeout`]. The bytes of the file are data in [`Output::Append`] and [`Output::Patch`].
//!
//! Changes of state and media that is given up are logged at debug level, with the track's name, and the SSRC and sequence
//! number that are found in a packet capture. The span in which the owner calls the recorder names the session. With
//! `RUST_LOG=media=debug` a lost packet can be followed from "packets missing" to "missing packet received", or to
//! "missing packets given up" and "keyframe requested".

mod config;
mod context;
mod depacketize;
mod event_log;
mod file;
mod frame;
mod input;
mod interleave;
mod layer;
mod output;
mod pause;
mod position;
mod pushed;
mod recorder;
mod reorder;
mod stream;
mod sync;
mod time;
mod track;
mod webm;

pub use config::RecorderConfig;
pub use input::{Anchor, Input, TrackConfig};
pub use output::{
    FinalBytes, KeyframeReason, MediaTime, Output, RecordingSummary, Statistics, TrackStatistics,
    TrackSummary,
};
pub use pushed::{AudioChunk, AudioError, AudioFormat, AudioFrame, PushedAudio};
pub use recorder::Recorder;
/// The vocabulary of the inputs and outputs.
pub use rtp::{
    Codec, Container, Encoding, LayerId, MediaKind, NtpTime, PayloadFormat, PayloadType, Rotation, RtpPacket,
    RtpTimestamp, SenderReport, Ssrc, TrackId,
};
pub use webm::{RecoverError, Recovery, Repair, recover};
