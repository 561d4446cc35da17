//! A receive-only WebRTC peer. Sans-I/O: datagrams, offers and time in; an answer, datagrams, RTP packets, sender
//! reports and data messages out. No clock, no socket, no task.

mod config;
mod event;
mod peer;

pub use config::{
    Candidate, CodecPreference, Endpoint, Environment, EnvironmentError, IceCredentials, PeerConfig,
    Protocol, TransportTimeouts,
};
pub use event::{
    CloseReason, Layer, MediaKind, PayloadFormat, PeerEvent, RtpPacket, Track, TrackId, TrackStatistics,
    Transmit,
};
pub use peer::{Answer, OfferError, Peer, stun_ufrag};
