//! Live sessions: the registry, the media shards that receive them, and the spool that keeps what they write.

mod begin;
mod capture;
mod codecs;
mod config;
mod ledger;
mod metrics;
mod registry;
mod session;
mod shard;
mod spool;
mod start;

pub use capture::{Begun, Capture, CaptureError, NewSession, SessionStatus};
pub use config::{CaptureConfig, ConfigError, Limits, SpoolConfig, WebrtcConfig};
pub use ledger::{Ledger, LedgerError};

#[cfg(test)]
mod tests;
