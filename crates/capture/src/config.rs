//! The configuration of live sessions: the sections `webrtc`, `limits` and `spool`, and what a node adds to them.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf};

use model::NodeId;
use rtp::{Codec, Encoding};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration, Fault};

/// Everything that [`Capture`](crate::Capture) is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureConfig {
    /// This node.
    pub node: NodeId,
    /// The first part of every object key.
    pub base_path: String,
    /// How media is received.
    pub webrtc: WebrtcConfig,
    /// Limits of sessions and recordings.
    pub limits: Limits,
    /// The files of recordings.
    pub spool: SpoolConfig,
}

/// A setting that this machine can't fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// The key, such as `webrtc.codecs`.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// How media is received: the section `webrtc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WebrtcConfig {
    /// UDP and ICE-TCP ports of media, `10000-10999` or `10000:10999`. Each shard listens on one of them, from the first on.
    /// `0`: free ports.
    #[schemars(extend("env" = "WEBRTC_UDP_PORT_RANGE"))]
    pub udp_port_range: PortRange,
    /// Threads that receive media, at most 1,000. `0`: one per core.
    #[schemars(range(max = 1000))]
    pub shards: usize,
    /// IP addresses that media listens on.
    #[schemars(extend("default_text" = "all of the machine but loopback, and loopback too while gRPC listens on loopback"))]
    pub listen_ips: Vec<IpAddr>,
    /// IP addresses that the answer announces instead of the listen addresses (NAT 1:1).
    pub public_ips: Vec<IpAddr>,
    /// Offer ICE over TCP on the same ports.
    pub ice_tcp: bool,
    /// Accepted codecs, best first: `VP8` or `video/VP8`.
    #[schemars(extend("env" = "WEBRTC_CODECS"))]
    pub codecs: Vec<CodecName>,
    /// Interval at which a shard reads its socket while no handshake is under way. Up to four times as long while few packets
    /// arrive.
    pub tick: Duration,
    /// Time without packets after which a session counts as disconnected. It continues when the client returns.
    #[schemars(extend("env" = "WEBRTC_ICE_DISCONNECT_TIMEOUT"))]
    pub ice_disconnected_timeout: Duration,
    /// Time without packets after which a session ends and its recording is finalized.
    #[schemars(extend("env" = "WEBRTC_ICE_FAILED_TIMEOUT"))]
    pub ice_failed_timeout: Duration,
    /// No effect; accepted for older deployments. The client sends keepalives, and the recorder answers them.
    #[schemars(extend("env" = "WEBRTC_ICE_KEEPALIVE_TIMEOUT"))]
    pub ice_keepalive_interval: Duration,
    /// Time from the offer to the end of the DTLS handshake. Then the session ends.
    pub connect_timeout: Duration,
    /// Receive buffer of each media socket, as requested from the kernel.
    pub receive_buffer: ByteSize,
}

impl Default for WebrtcConfig {
    fn default() -> Self {
        Self {
            udp_port_range: PortRange(10000..=10999),
            shards: 0,
            listen_ips: Vec::new(),
            public_ips: Vec::new(),
            ice_tcp: true,
            codecs: CodecName::DEFAULT_ORDER.map(CodecName).to_vec(),
            tick: Duration::from_millis(5),
            ice_disconnected_timeout: Duration::from_secs(5),
            ice_failed_timeout: Duration::from_secs(35),
            ice_keepalive_interval: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(30),
            receive_buffer: ByteSize(8 << 20),
        }
    }
}

impl WebrtcConfig {
    /// Threads that receive media.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        }
    }

    /// Values of the section that can't be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = zero_durations(&[
            ("tick", self.tick),
            ("ice_failed_timeout", self.ice_failed_timeout),
            ("connect_timeout", self.connect_timeout),
        ]);
        if self.codecs.is_empty() {
            faults.push(Fault::new("codecs", "names no codec"));
        }
        faults
    }
}

/// Limits of sessions and recordings: the section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Most live sessions on this node, 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sessions: usize,
    /// Most live sessions of one tenant on this node.
    pub sessions_per_tenant: usize,
    /// Largest SDP offer.
    pub offer_bytes: ByteSize,
    /// Longest session. `0`: no limit.
    pub session_time: Duration,
    /// Largest recording. `0`: no limit.
    pub recording_bytes: ByteSize,
    /// Free space on the spool's disk below which new sessions are refused.
    pub min_free_bytes: ByteSize,
    /// Longest name and longest correlation id, in bytes.
    pub name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 500,
            sessions_per_tenant: 500,
            offer_bytes: ByteSize(256 << 10),
            session_time: Duration::from_secs(0),
            recording_bytes: ByteSize(0),
            min_free_bytes: ByteSize(1 << 30),
            name_bytes: 1024,
        }
    }
}

impl Limits {
    /// The longest session. None: no limit.
    #[must_use]
    pub fn max_session_time(&self) -> Option<std::time::Duration> {
        Some(self.session_time.0).filter(|time| !time.is_zero())
    }

    /// The largest recording, in bytes. None: no limit.
    #[must_use]
    pub fn max_recording_bytes(&self) -> Option<u64> {
        Some(self.recording_bytes.0).filter(|bytes| *bytes > 0)
    }
}

/// The files of recordings until the object store has them: the section `spool`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpoolConfig {
    /// Directory of open recordings, and of finished ones until the object store has a verified copy.
    #[schemars(extend("env" = "CACHE_TEMP_DIR", "default_text" = "`<data_dir>/spool`"))]
    pub directory: PathBuf,
    /// Interval at which written media is forced to disk.
    pub sync_interval: Duration,
    /// Most bytes of one session that may wait for the disk.
    pub max_waiting_bytes: ByteSize,
    /// Time without progress of the disk after which the session ends. What was written stays.
    pub stall_timeout: Duration,
    /// Threads that write, 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    pub writers: usize,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("spool"),
            sync_interval: Duration::from_secs(5),
            max_waiting_bytes: ByteSize(32 << 20),
            stall_timeout: Duration::from_secs(10),
            writers: 2,
        }
    }
}

impl SpoolConfig {
    /// Values of the section that can't be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        zero_durations(&[("sync_interval", self.sync_interval), ("stall_timeout", self.stall_timeout)])
    }
}

/// `first-last` or `first:last`. One number is a range of one port, and 0 is any free port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct PortRange(pub RangeInclusive<u16>);

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (first, last) = text.split_once(['-', ':']).unwrap_or((&text, &text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(format!("{text:?} is no port range such as 10000-10999")),
        }
    }
}

impl From<PortRange> for String {
    fn from(PortRange(range): PortRange) -> Self {
        format!("{}-{}", range.start(), range.end())
    }
}

/// A codec that can be recorded, by its encoding name in `a=rtpmap`. Reads any case, and media types: `video/VP8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct CodecName(pub Encoding);

impl CodecName {
    /// Every codec that can be recorded, in the default order of preference.
    const DEFAULT_ORDER: [Encoding; 10] = [
        Encoding::Codec(Codec::Vp8),
        Encoding::Codec(Codec::Vp9),
        Encoding::Codec(Codec::Av1),
        Encoding::Codec(Codec::H264),
        Encoding::Codec(Codec::H265),
        Encoding::Codec(Codec::Opus),
        Encoding::Red,
        Encoding::Codec(Codec::G722),
        Encoding::Codec(Codec::Pcmu),
        Encoding::Codec(Codec::Pcma),
    ];
}

impl TryFrom<String> for CodecName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.rsplit_once('/').map_or(text.as_str(), |(_, name)| name);
        Encoding::from_name(name).map(Self).ok_or_else(|| {
            let names = Self::DEFAULT_ORDER.map(Encoding::name).join(", ");
            format!("{text:?} is no codec that can be recorded: {names}")
        })
    }
}

impl From<CodecName> for String {
    fn from(CodecName(encoding): CodecName) -> Self {
        encoding.name().to_owned()
    }
}

/// A fault for each duration that is 0 although it must not be.
fn zero_durations(durations: &[(&str, Duration)]) -> Vec<Fault> {
    let zero = durations.iter().filter(|(_, duration)| duration.is_zero());
    zero.map(|(key, _)| Fault::new(*key, "has to be longer than 0")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_are_read_with_either_separator() {
        let read = |text: &str| PortRange::try_from(text.to_owned()).map(|range| range.0);
        assert_eq!(read("20000:20010"), Ok(20000..=20010));
        assert_eq!(read(" 20000 - 20010 "), Ok(20000..=20010));
        assert_eq!(read("0"), Ok(0..=0));
        for text in ["", "-", "20010-20000", "70000-70010", "1-2-3", "x"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn codecs_are_read_in_any_case_and_as_media_types() {
        let read = |text: &str| CodecName::try_from(text.to_owned()).map(|codec| codec.0.name());
        assert_eq!(read("video/vp8"), Ok("VP8"));
        assert_eq!(read("OPUS"), Ok("opus"));
        assert!(read("theora").unwrap_err().contains("theora"));
    }

    #[test]
    fn every_encoding_that_media_can_record_is_a_default_codec() {
        let missing: Vec<&str> = Encoding::all()
            .filter(|encoding| !CodecName::DEFAULT_ORDER.contains(encoding))
            .map(Encoding::name)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
