//! Live sessions: the registry, the media shards that receive them, and the spool that keeps what they write.

mod capture;
mod config;
mod ledger;

pub use capture::{Begun, Capture, CaptureError, NewSession, SessionStatus};
pub use config::{CaptureConfig, ConfigError, Limits, SpoolConfig, WebrtcConfig};
pub use ledger::{Ledger, LedgerError};
