//! Counters of a sender.

/// Counters of one sender since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// ICE and DTLS are up.
    pub connected: bool,
    /// The recorder has closed the connection, or it failed.
    pub closed: bool,
    /// Frames written, for each stream in the order of tracks and layers.
    pub frames: Vec<u64>,
    /// RTP packets sent for the first time, including lost ones.
    pub packets: u64,
    /// Of these, lost in the network.
    pub packets_lost: u64,
    /// RTP packets resent as RTX (RFC 4588), including lost ones.
    pub resends: u64,
    /// Of these, lost in the network.
    pub resends_lost: u64,
    /// PLI and FIR received.
    pub keyframe_requests: u64,
    /// The data channel is open.
    pub channel_open: bool,
}
