//! How a recorder works.

use std::time::Duration;

/// How a recorder works. The defaults suit WebRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecorderConfig {
    /// How long a missing packet is waited for, from when the hole was first seen.
    pub max_wait: Duration,
    /// How long the beginning is held back so that all tracks can be placed on one clock.
    pub settle: Duration,
    /// How long a frame waits for frames of other tracks that belong before it.
    pub interleave: Duration,
    /// The most bytes held back for order, all tracks together; past it the oldest are written.
    pub max_held_bytes: usize,
    /// Written parts are handed out when they reach this size…
    pub append_bytes: usize,
    /// …or this age.
    pub append_age: Duration,
    /// The longest cluster. A new one begins at each video keyframe, too.
    pub cluster: Duration,
    /// `WritingApp` in the file's header.
    pub writing_app: String,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_secs(1),
            settle: Duration::from_millis(2500),
            interleave: Duration::from_secs(1),
            max_held_bytes: 16 << 20,
            append_bytes: 64 << 10,
            append_age: Duration::from_millis(500),
            cluster: Duration::from_secs(5),
            writing_app: concat!("webrtc-recorder ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
