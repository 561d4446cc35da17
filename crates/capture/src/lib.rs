//! Live sessions: the registry, the media shards that receive them, and how they begin and end.
//!
//! | module | what it does |
//! | --- | --- |
//! | `begin` | takes a place, makes the directory, answers the offer, writes it down |
//! | `registry` | which sessions there are, and how many may be |
//! | `shard` | threads that receive: socket, demultiplexing, timers, commands, ICE-TCP |
//! | `session` | a session's states as a pure step; how it is sealed |
//! | `source` | sessions of sources that aren't WebRTC: a task each, the same recorder, spool and seal |
//! | `start` | everything that can be wrong with the configuration |
//!
//! A packet goes from the socket to its session's write buffer on one thread; the disk has threads of its own; the
//! ledger is told by tokio tasks. What a data channel carries is counted and dropped: it is not kept yet.

mod begin;
mod capture;
mod codecs;
mod config;
mod ledger;
mod metrics;
mod registry;
mod session;
mod shard;
mod source;
mod start;

pub use capture::{Begun, Capture, CaptureError, NewSession, SessionStatus};
pub use config::{CaptureConfig, ConfigError, Limits, SpoolConfig, WebrtcConfig};
pub use ledger::{Ledger, LedgerError};
/// The types of `media` and `rtp` that sources use.
pub use media::{Anchor, AudioChunk, AudioError, AudioFormat, TrackConfig};
pub use rtp::{
    Codec, Encoding, MediaKind, NtpTime, PayloadFormat, PayloadType, RtpPacket, RtpTimestamp, SenderReport,
    Ssrc, TrackId,
};
pub use session::convert::codec_of;
pub use source::{NewSource, SourceEnded, SourceHandle, SourceOutcome};
pub use spool::OpenFile;

#[cfg(test)]
mod tests;
