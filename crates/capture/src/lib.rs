//! Live sessions: how they begin, receive, record and end.
//!
//! | module | what it does |
//! | --- | --- |
//! | `capture` | the public interface |
//! | `beginning`, `begin` | admission, directory, row; the answer to an offer |
//! | `registry` | the live sessions and the limits on their number |
//! | `session` | the core of every session: state machine, file, limits, finalization |
//! | `shard` | threads that feed WebRTC sessions: sockets, demultiplexing, timers, commands, ICE-TCP |
//! | `source` | tasks that feed sessions of other sources |
//! | `start` | checks the configuration and starts everything |
//!
//! A packet goes from the socket to its session's write buffer on one thread. The disk has threads of its own (crate
//! `spool`). The ledger is called by tokio tasks. Messages of data channels are counted and dropped.

mod begin;
mod beginning;
mod capture;
mod config;
mod error;
mod ledger;
mod metrics;
mod node;
mod registry;
mod session;
mod shard;
mod source;
mod start;

pub use begin::{Begun, NewSession};
pub use capture::{Capture, SessionStatus};
pub use config::{CaptureConfig, CodecName, ConfigError, Limits, PortRange, SpoolConfig, WebrtcConfig};
pub use error::CaptureError;
pub use ledger::{Ledger, LedgerError};
/// The types of `media` and `rtp` that sources use.
pub use media::{Anchor, AudioChunk, AudioError, AudioFormat, TrackConfig};
pub use rtp::{
    Codec, Encoding, MediaKind, NtpTime, PayloadFormat, PayloadType, RtpPacket, RtpTimestamp, SenderReport,
    Ssrc, TrackId,
};
pub use session::{
    convert::codec_of,
    statistics::{SessionDrops, TrackStatus},
};
pub use source::{NewSource, SourceEnded, SourceHandle, SourceOutcome};
pub use spool::OpenFile;

#[cfg(test)]
mod tests;
