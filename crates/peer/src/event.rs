//! What a peer reports.

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;
use rtp::{LayerId, MediaKind, PayloadFormat, RtpPacket, SenderReport, TrackId};

use crate::Endpoint;

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
        layer: LayerId,
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
        layer: LayerId,
        /// When the kernel received it.
        arrival: Instant,
        /// The report.
        report: SenderReport,
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
