//! How capture works, already checked.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use model::NodeId;

/// Everything that capture needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureConfig {
    /// This node.
    pub node: NodeId,
    /// Where objects go: the first part of every object key.
    pub base_path: String,
    /// The WebRTC side.
    pub webrtc: WebrtcConfig,
    /// What is allowed.
    pub limits: Limits,
    /// The spool.
    pub spool: SpoolConfig,
}

/// A setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// The key, such as `webrtc.codecs`.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// The WebRTC side.
#[derive(Debug, Clone, PartialEq)]
pub struct WebrtcConfig {
    /// Shards listen on the first ports of it, one a shard, for UDP and for ICE-TCP.
    pub port_range: RangeInclusive<u16>,
    /// How many shards; none: one a core.
    pub shards: Option<usize>,
    /// Addresses to listen on.
    pub listen_ips: Vec<IpAddr>,
    /// Addresses to announce instead of those (NAT 1:1); empty: the listen addresses.
    pub public_ips: Vec<IpAddr>,
    /// Whether ICE-TCP is offered.
    pub ice_tcp: bool,
    /// Encoding names by preference (`VP8`, `opus` …), as [`WebrtcConfig::DEFAULT_CODECS`] spells them.
    pub codecs: Vec<String>,
    /// How often a shard drains its socket while no handshake is under way.
    pub tick: Duration,
    /// Silence until a session counts as disconnected.
    pub disconnected_timeout: Duration,
    /// Silence until a session ends.
    pub failed_timeout: Duration,
    /// From the offer to the first media path.
    pub connect_timeout: Duration,
    /// The socket's receive buffer that is asked of the kernel, in bytes.
    pub receive_buffer: usize,
}

impl WebrtcConfig {
    /// Every codec that can be recorded, in the default order of preference.
    pub const DEFAULT_CODECS: &'static [&'static str] =
        &["VP8", "VP9", "AV1", "H264", "H265", "opus", "red", "G722", "PCMU", "PCMA"];
}

impl Default for WebrtcConfig {
    fn default() -> Self {
        Self {
            port_range: 10000..=10999,
            shards: None,
            listen_ips: vec![IpAddr::from([127, 0, 0, 1])],
            public_ips: Vec::new(),
            ice_tcp: true,
            codecs: Self::DEFAULT_CODECS.iter().map(|&name| name.to_owned()).collect(),
            tick: Duration::from_millis(5),
            disconnected_timeout: Duration::from_secs(5),
            failed_timeout: Duration::from_secs(35),
            connect_timeout: Duration::from_secs(30),
            receive_buffer: 8 << 20,
        }
    }
}

/// What is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at a time on this node.
    pub sessions: usize,
    /// Sessions at a time of one tenant on this node.
    pub sessions_per_tenant: usize,
    /// The largest offer, in bytes.
    pub offer_bytes: usize,
    /// The longest session; none: no limit.
    pub session_time: Option<Duration>,
    /// The largest recording; none: no limit.
    pub recording_bytes: Option<u64>,
    /// New sessions are refused while the spool's disk has less than this.
    pub min_free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 500,
            sessions_per_tenant: 500,
            offer_bytes: 256 << 10,
            session_time: None,
            recording_bytes: None,
            min_free_bytes: 1 << 30,
        }
    }
}

/// The spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Its directory.
    pub directory: PathBuf,
    /// How often what was written is forced to disk.
    pub sync_interval: Duration,
    /// Bytes of one session that may wait for the disk.
    pub max_waiting_bytes: usize,
    /// A disk that takes nothing for this long ends the session.
    pub stall_timeout: Duration,
    /// Threads that write.
    pub writers: usize,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("spool"),
            sync_interval: Duration::from_secs(5),
            max_waiting_bytes: 32 << 20,
            stall_timeout: Duration::from_secs(10),
            writers: 2,
        }
    }
}
