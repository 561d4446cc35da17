//! A WebRTC sender: an independent implementation (str0m, with its own DTLS) that plays coded clips.
//!
//! [`Sender`] does no I/O and reads no clock: it can be driven in virtual time against a peer in the same process.
//! [`Driver`] plays many of them in real time from one thread, each on a UDP socket of its own.

mod config;
mod driver;
mod network;
mod peer;
mod player;
mod stats;

pub use config::{Layer, SenderConfig, Track};
pub use driver::{Driver, DriverGone, Session};
pub use network::{Impairment, Network, Scope};
pub use peer::{Sender, SenderError};
pub use stats::SenderStats;
