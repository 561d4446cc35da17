//! The events of a peer, and the datagrams that it sends.

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
    /// The handshake or the DTLS session failed. The text is OpenSSL's, or ours for a check after the handshake.
    Dtls(String),
}

/// An event of a peer.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// A section sends to us. Reported by `accept_offer`, before any packet of it.
    TrackAdded(Track),
    /// A renegotiation changed its formats or layers.
    TrackChanged(Track),
    /// It sends nothing at present: its direction changed to inactive or recvonly, or all its sources said BYE. Clients say
    /// BYE also when an encoding is switched off for a while. `TrackResumed` may follow.
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
    /// ICE and DTLS are established.
    Connected {
        /// The client's address.
        remote: Endpoint,
        /// The DTLS cipher suite, by OpenSSL's name.
        cipher: &'static str,
        /// The SRTP profile, by its name in RFC 5764 or RFC 7714. Empty for data alone.
        srtp_profile: &'static str,
    },
    /// The client has another address now, by a valid ICE nomination.
    PathChanged(Endpoint),
    /// Nothing authentic was received for [`TransportTimeouts::disconnected`](crate::TransportTimeouts::disconnected).
    Disconnected,
    /// After `Disconnected`: something authentic was received.
    Reconnected,
    /// An earlier ICE user fragment of ours is not valid any more. The caller stops routing by it.
    UfragRetired(String),
    /// The peer is closed. No event follows; its last datagrams may remain to be sent.
    Closed(CloseReason),
}

/// A datagram to send.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// The address of ours to send from: the destination of the datagram that established the path. None: any.
    pub source: Option<SocketAddr>,
    /// The client's address.
    pub destination: Endpoint,
    /// The datagram.
    pub payload: Bytes,
}
