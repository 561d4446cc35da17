//! The peer itself.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Endpoint, Environment, IceCredentials, Layer, PeerConfig, PeerEvent, TrackId, TrackStatistics, Transmit,
};

/// The answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The session description, complete: no candidate follows.
    pub sdp: String,
    /// Our user fragment from now on. Differs from the one before after an ICE restart; the one before stays valid
    /// until [`PeerEvent::UfragRetired`].
    pub ufrag: String,
}

/// Why an offer is refused. The peer is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// It is no SDP, or breaks a rule that we rely on.
    #[error("the offer is not usable: {0}")]
    Malformed(String),
    /// It is larger than the limit.
    #[error("the offer has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It has no section of audio, video or data that could send to us.
    #[error("the offer has no media section that sends")]
    NoMedia,
    /// No section has a codec that we accept.
    #[error("no codec in common: offered {offered}; supported {supported}")]
    NoCommonCodec {
        /// What was offered, comma-separated.
        offered: String,
        /// What would be accepted, comma-separated.
        supported: String,
    },
    /// The peer is closed.
    #[error("the peer is closed")]
    Closed,
}

/// One client.
#[derive(Debug)]
pub struct Peer {
    _environment: Arc<Environment>,
}

impl Peer {
    /// A peer that has seen no offer.
    #[must_use]
    pub fn new(environment: Arc<Environment>, config: Arc<PeerConfig>, now: Instant) -> Self {
        let _ = (config, now);
        Self { _environment: environment }
    }

    /// Answers an offer: the first, or a renegotiation. `fresh` is used if this is the first or an ICE restart.
    ///
    /// # Errors
    /// [`OfferError`]; the peer then is as it was before.
    pub fn accept_offer(
        &mut self,
        sdp: &str,
        fresh: IceCredentials,
        now: Instant,
    ) -> Result<Answer, OfferError> {
        let _ = (sdp, fresh, now);
        Err(OfferError::NoMedia)
    }

    /// Takes a datagram that was received at `arrival` (not after `now`). Drain `poll_event` and `poll_transmit`
    /// afterwards. Bytes that are nothing of ours are dropped and counted.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        arrival: Instant,
        source: Endpoint,
        destination: SocketAddr,
        datagram: &[u8],
    ) {
        let _ = (now, arrival, source, destination, datagram);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; none: never, the peer is closed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        None
    }

    /// Asks for a keyframe by PLI (FIR where only that was negotiated), paced to one each 500 ms a source.
    pub fn request_keyframe(&mut self, track: TrackId, layer: Layer, now: Instant) {
        let _ = (track, layer, now);
    }

    /// Says goodbye (close_notify) and closes with [`CloseReason::Local`](crate::CloseReason::Local).
    pub fn close(&mut self, now: Instant) {
        let _ = now;
    }

    /// Whether a DTLS handshake is under way, so that datagrams should be handed in at once, not on a tick.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        false
    }

    /// Whether `close` was called or the peer closed itself.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        true
    }

    /// Counters of each track.
    #[must_use]
    pub fn statistics(&self) -> Vec<(TrackId, TrackStatistics)> {
        Vec::new()
    }

    /// The round-trip time where it is known (from STUN or RTCP).
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        None
    }
}

/// The user fragment (ours) that a STUN binding request is addressed to, for the routing of datagrams from unknown
/// addresses. None for anything else.
#[must_use]
pub fn stun_ufrag(datagram: &[u8]) -> Option<&str> {
    let _ = datagram;
    None
}
