//! The peer itself.

mod secured;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    CloseReason, Endpoint, Environment, IceCredentials, LayerId, PeerConfig, PeerEvent, TrackId,
    TrackStatistics, Transmit,
    data::{DataChannels, MAX_MESSAGE},
    dtls::Dtls,
    ice::{Ice, Presence},
    receiver::{Receiver, Times},
    sdp::{AnswerContext, Fingerprint, Offer, Session, negotiate, write_answer},
    tracks::Tracks,
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

/// Events and datagrams that wait to be taken. The caller drains after each input; past this an input is dropped.
const MAX_QUEUED: usize = 4096;

/// One client.
#[derive(Debug)]
pub struct Peer {
    environment: Arc<Environment>,
    config: Arc<PeerConfig>,
    session: Session,
    tracks: Tracks,
    ice: Ice,
    dtls: Option<Dtls>,
    receiver: Option<Receiver>,
    data: Option<DataChannels>,
    /// What the client's certificate has to be. None before the first offer.
    fingerprint: Option<Fingerprint>,
    connect_deadline: Option<Instant>,
    connected: bool,
    session_id: u64,
    answers: u64,
    closed: bool,
    events: VecDeque<PeerEvent>,
    transmits: VecDeque<Transmit>,
}

impl Peer {
    /// A peer that has seen no offer.
    #[must_use]
    pub fn new(environment: Arc<Environment>, config: Arc<PeerConfig>, now: Instant) -> Self {
        let _ = now;
        Self {
            environment,
            config,
            session: Session::default(),
            tracks: Tracks::default(),
            ice: Ice::new(),
            dtls: None,
            receiver: None,
            data: None,
            fingerprint: None,
            connect_deadline: None,
            connected: false,
            session_id: 0,
            answers: 0,
            closed: false,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
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
        if self.closed {
            return Err(OfferError::Closed);
        }
        let offer = Offer::parse(sdp, &self.config)?;
        let first = self.fingerprint.is_none();
        let session = negotiate(&offer, &self.config, first)?;
        if self.fingerprint.is_some_and(|known| known != offer.fingerprint) {
            return Err(OfferError::Malformed(
                "the DTLS fingerprint is another than before: a new connection needs a new session"
                    .to_owned(),
            ));
        }
        if self.connected && self.receiver.is_none() && session.media().next().is_some() {
            return Err(OfferError::Malformed(
                "media can't be added: the connection was made for data alone, without keys for SRTP"
                    .to_owned(),
            ));
        }
        // Nothing fails from here on.
        if first {
            self.session_id = session_id(&fresh.ufrag);
            self.connect_deadline = Some(now + self.config.timeouts.connect);
        }
        if self.ice.is_new_generation(&offer.ufrag)
            && let Some(retired) = self.ice.begin_generation(fresh, offer.ufrag)
        {
            self.events.push_back(PeerEvent::UfragRetired(retired));
        }
        self.fingerprint = Some(offer.fingerprint);
        self.session = session;
        self.tracks.apply(&self.session, &mut self.events);
        if let Some(receiver) = &mut self.receiver {
            receiver.configure(&self.session, &self.tracks);
        }
        self.answers += 1;
        Ok(self.answer())
    }

    fn answer(&self) -> Answer {
        let Some(credentials) = self.ice.credentials() else {
            return Answer { sdp: String::new(), ufrag: String::new() };
        };
        let context = AnswerContext {
            session_id: self.session_id,
            session_version: self.answers,
            credentials,
            fingerprint: self.environment.dtls.fingerprint(),
            candidates: &self.config.candidates,
            max_message_bytes: MAX_MESSAGE,
        };
        Answer { sdp: write_answer(&self.session, &context), ufrag: credentials.ufrag.clone() }
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
        if self.closed || self.events.len() >= MAX_QUEUED || self.transmits.len() >= MAX_QUEUED {
            return;
        }
        // RFC 7983 §7; RTCP within RTP's range by RFC 5761 §4.
        match datagram {
            [0..=3, ..] => self.handle_stun(now, source, destination, datagram),
            [20..=63, ..] if self.ice.is_verified(source) => self.handle_dtls(now, datagram),
            [128..=191, 192..=223, ..] => self.handle_rtcp(now, arrival, datagram),
            [128..=191, _, ..] => self.handle_rtp(Times { arrival, now }, datagram),
            _ => {}
        }
    }

    fn handle_stun(&mut self, now: Instant, source: Endpoint, destination: SocketAddr, datagram: &[u8]) {
        let crypto = self.environment.crypto.crypto();
        let outcome = self.ice.handle_check(datagram, source, destination, now, crypto);
        if outcome.heard {
            self.note_presence(now);
        }
        self.transmits.extend(outcome.response);
        if outcome.moved && self.connected {
            self.events.push_back(PeerEvent::PathChanged(source));
        }
        self.events.extend(outcome.retired.into_iter().map(PeerEvent::UfragRetired));
    }

    fn handle_rtp(&mut self, times: Times, datagram: &[u8]) {
        let Some(receiver) = &mut self.receiver else { return };
        if receiver.handle_rtp(datagram, times, &self.session, &mut self.tracks, &mut self.events) {
            self.note_authentic(times.now);
        }
    }

    fn handle_rtcp(&mut self, now: Instant, arrival: Instant, datagram: &[u8]) {
        let Some(receiver) = &mut self.receiver else { return };
        if receiver.handle_rtcp(datagram, arrival, &self.session, &mut self.tracks, &mut self.events) {
            self.note_authentic(now);
        }
    }

    fn note_authentic(&mut self, now: Instant) {
        self.ice.heard(now);
        self.note_presence(now);
        if let Some(dtls) = &mut self.dtls {
            dtls.client_is_up();
        }
    }

    /// Reports a change between silence and its end.
    fn note_presence(&mut self, now: Instant) {
        if !self.connected {
            return;
        }
        match self.ice.presence_change(now, &self.config.timeouts) {
            Some(Presence::Heard) => self.events.push_back(PeerEvent::Reconnected),
            Some(Presence::Silent) => self.events.push_back(PeerEvent::Disconnected),
            Some(Presence::Lost) => self.finish(CloseReason::IceFailed),
            None => {}
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.connect_deadline.is_some_and(|deadline| deadline <= now) {
            return self.finish(CloseReason::ConnectTimeout);
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
            self.flush_dtls();
        }
        if let Some(data) =
            self.data.as_mut().filter(|data| data.poll_timeout().is_some_and(|due| due <= now))
        {
            data.handle_timeout(now, &mut self.events);
            self.flush_data();
        }
        self.send_feedback(now);
        self.note_presence(now);
    }

    fn send_feedback(&mut self, now: Instant) {
        let (Some(receiver), Some(path)) = (&mut self.receiver, self.ice.path()) else { return };
        if receiver.poll_timeout().is_some_and(|due| due <= now) {
            self.transmits.extend(receiver.feedback(now).into_iter().map(|datagram| path.transmit(datagram)));
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; none: never, the peer is closed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let presence = self.receiver.as_ref().and_then(|_| self.ice.presence_deadline(&self.config.timeouts));
        [
            self.connect_deadline,
            self.dtls.as_ref().and_then(Dtls::poll_timeout),
            self.receiver.as_ref().and_then(Receiver::poll_timeout),
            self.data.as_ref().and_then(DataChannels::poll_timeout),
            presence,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// Asks for a keyframe by PLI (FIR where only that was negotiated), paced to one each 500 ms a source.
    pub fn request_keyframe(&mut self, track: TrackId, layer: LayerId, now: Instant) {
        if self.closed {
            return;
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.request_keyframe(track, layer, now);
        }
        self.send_feedback(now);
    }

    /// Says goodbye (close_notify) and closes with [`CloseReason::Local`].
    pub fn close(&mut self, now: Instant) {
        let _ = now;
        if !self.closed {
            self.say_goodbye();
            self.finish(CloseReason::Local);
        }
    }

    fn say_goodbye(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
        }
        self.flush_dtls();
    }

    fn finish(&mut self, reason: CloseReason) {
        if !self.closed {
            self.closed = true;
            self.dtls = None;
            self.data = None;
            self.events.push_back(PeerEvent::Closed(reason));
        }
    }

    /// Whether a DTLS handshake is under way, so that datagrams should be handed in at once, not on a tick.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        !self.closed && !self.connected && self.ice.path().is_some()
    }

    /// Whether `close` was called or the peer closed itself.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Counters of each track.
    #[must_use]
    pub fn statistics(&self) -> Vec<(TrackId, TrackStatistics)> {
        let of = |track| {
            self.receiver
                .as_ref()
                .map_or_else(TrackStatistics::default, |receiver| receiver.statistics(track))
        };
        self.tracks.ids().map(|track| (track, of(track))).collect()
    }

    /// The round-trip time where it is known: from the handshake, then from resends.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.receiver.as_ref().and_then(Receiver::round_trip)
    }
}

/// `sess-id` (RFC 8866 §5.2) has to differ between sessions, and may not exceed 63 bits (RFC 8829 §5.2.1). The user
/// fragment is random already.
fn session_id(ufrag: &str) -> u64 {
    let hash = ufrag.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash >> 2
}
