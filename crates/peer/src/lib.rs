//! A receive-only WebRTC peer. Sans-I/O: the caller hands in offers, datagrams and the time; the peer returns answers,
//! datagrams to send, RTP packets, sender reports and data messages. It has no clock, no socket and no task.

mod config;
mod data;
mod demux;
mod dtls;
mod event;
mod event_log;
mod feedback;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod ice;
mod peer;
mod receiver;
mod rtcp;
mod rtx;
mod sdp;
mod srtp;
mod statistics;
mod stream;
mod stun;
mod tracks;
mod window;

pub use config::{
    Candidate, Endpoint, Environment, EnvironmentError, IceCredentials, PeerConfig, Protocol,
    TransportTimeouts,
};
pub use dtls::{openssl_predates_dtls_fixes, openssl_version};
pub use event::{CloseReason, PeerEvent, Track, Transmit};
pub use peer::{Answer, Peer};
/// The vocabulary of the events.
pub use rtp::{
    Codec, Encoding, LayerId, MediaKind, NtpTime, PayloadFormat, PayloadType, RtpPacket, RtpTimestamp,
    SenderReport, Ssrc, TrackId,
};
pub use sdp::OfferError;
pub use statistics::{Drops, PeerStatistics, TrackStatistics};
pub use stun::stun_ufrag;
