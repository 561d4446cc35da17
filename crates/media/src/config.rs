//! The recorder's parameters.

use std::time::Duration;

/// How a recorder works. The defaults suit WebRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecorderConfig {
    /// How long a missing packet may still arrive, from when the hole was first seen. Then the hole is given up.
    pub max_wait: Duration,
    /// How long the beginning is held back, at most, until all tracks can be aligned.
    pub alignment_wait: Duration,
    /// How long a frame waits, at most, for earlier frames of other tracks.
    pub interleave_wait: Duration,
    /// The most bytes of packets and frames held back for order, all tracks together. Past it holes are given up, then
    /// the oldest frames are written.
    pub max_held_bytes: usize,
    /// Bytes to write are returned when they reach this size…
    pub append_bytes: usize,
    /// …or this age.
    pub append_age: Duration,
    /// The longest cluster. Each video keyframe begins a new one, too.
    pub max_cluster: Duration,
    /// `WritingApp` in the file's header.
    pub writing_app: String,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_secs(1),
            alignment_wait: Duration::from_millis(2500),
            interleave_wait: Duration::from_secs(1),
            max_held_bytes: 16 << 20,
            append_bytes: 64 << 10,
            append_age: Duration::from_millis(500),
            max_cluster: Duration::from_secs(5),
            writing_app: concat!("webrtc-recorder ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
