//! What a peer reports.

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;

use crate::Endpoint;

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// A media section that sends to us, numbered from 0 in the order of first appearance; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

/// A simulcast layer: its place in the offer's `a=simulcast:send` list; 0 without simulcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Layer(pub u8);

/// A payload type as negotiated. RTX payload types are not listed: the peer unwraps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFormat {
    /// 0 to 127.
    pub payload_type: u8,
    /// As in the rtpmap: `VP8`, `opus`, `red`.
    pub encoding_name: String,
    /// Ticks a second.
    pub clock_rate: u32,
    /// Audio channels (1 where the rtpmap says nothing); zero for video.
    pub channels: u8,
    /// `a=fmtp` as offered; empty where there is none.
    pub fmtp: String,
}

/// A track as negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Its number.
    pub id: TrackId,
    /// The section's `mid`.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Accepted payload types, in the order of the answer.
    pub formats: Vec<PayloadFormat>,
    /// The restriction ids of its simulcast layers, in the order of the offer; empty without simulcast.
    pub rids: Vec<String>,
}

/// One authenticated, decrypted packet; RTX already unwrapped; each (ssrc, sequence number) reported once.
#[derive(Debug, Clone)]
pub struct RtpPacket {
    /// Its source (the primary one, also for what came by RTX).
    pub ssrc: u32,
    /// Its payload type (the primary one).
    pub payload_type: u8,
    /// Its (original) sequence number.
    pub sequence_number: u16,
    /// Its media timestamp.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// The low two bits of the video-orientation extension: quarter turns clockwise to apply, where it was sent.
    pub rotation: Option<u8>,
    /// RFC 6464: -dBov, 0 loudest to 127, where it was sent.
    pub audio_level: Option<u8>,
    /// Whether it came by RTX.
    pub resent: bool,
    /// The payload, padding removed; empty for a packet of padding alone, whose place in the sequence is not a loss.
    pub payload: Bytes,
}

/// Why a peer is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// We called [`close`](crate::Peer::close).
    Local,
    /// The other side sent close_notify.
    Remote,
    /// No connection within the time allowed.
    ConnectTimeout,
    /// Silence for longer than the time allowed.
    IceFailed,
    /// The handshake or the DTLS session failed, with OpenSSL's words.
    Dtls(String),
}

/// What happened.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// A section sends to us. Comes from `accept_offer`, before any packet of it.
    TrackAdded(Track),
    /// A renegotiation changed its formats or layers.
    TrackChanged(Track),
    /// It sends nothing for now: its direction changed to inactive or recvonly, or all its sources said BYE, which
    /// clients also do when an encoding is switched off for a while. It may come back with `TrackResumed`.
    TrackPaused(TrackId),
    /// It sends again.
    TrackResumed(TrackId),
    /// It is over: its section was rejected or removed.
    TrackEnded(TrackId),
    /// A packet.
    Rtp {
        /// Its track.
        track: TrackId,
        /// Its layer.
        layer: Layer,
        /// When the kernel received it.
        arrival: Instant,
        /// The packet.
        packet: RtpPacket,
    },
    /// A sender report.
    SenderReport {
        /// Its track.
        track: TrackId,
        /// Its layer.
        layer: Layer,
        /// The source that it speaks of.
        ssrc: u32,
        /// When the kernel received it.
        arrival: Instant,
        /// NTP time, 32.32 (RFC 3550 §4).
        ntp: u64,
        /// The same instant on the media clock.
        rtp_timestamp: u32,
    },
    /// A whole message on a data channel.
    DataMessage {
        /// The SCTP stream.
        stream: u16,
        /// The channel's label.
        label: String,
        /// Whether it is binary (else UTF-8 text).
        binary: bool,
        /// The message.
        payload: Bytes,
    },
    /// ICE and DTLS are up.
    Connected {
        /// Where the client is.
        remote: Endpoint,
        /// The DTLS cipher suite, in OpenSSL's words.
        cipher: &'static str,
        /// The SRTP profile, in RFC 5764's and 7714's words.
        srtp_profile: &'static str,
    },
    /// The client is now reached at another address.
    PathChanged(Endpoint),
    /// Nothing came for the `disconnected` time.
    Disconnected,
    /// And then something came again.
    Reconnected,
    /// An earlier ICE user fragment of ours is no longer valid: stop routing by it.
    UfragRetired(String),
    /// The peer is closed; nothing follows but its last datagrams.
    Closed(CloseReason),
}

/// A datagram to send.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// From which of our addresses, as it was given with the datagram that made this path; none: any.
    pub source: Option<SocketAddr>,
    /// Where to.
    pub destination: Endpoint,
    /// What.
    pub payload: Bytes,
}

/// Counters of a track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackStatistics {
    /// Packets of media received, resent ones included, padding alone not.
    pub packets: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// Packets that came by RTX.
    pub resent: u64,
    /// Resends asked for (sequence numbers in NACKs, repeats included).
    pub nacked: u64,
    /// Packets given up.
    pub lost: u64,
    /// Interarrival jitter in seconds (RFC 3550 §6.4.1), of the layer with the most packets.
    pub jitter: f64,
    /// PLIs sent.
    pub plis: u64,
}
