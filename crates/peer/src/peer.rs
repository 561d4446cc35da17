//! The peer: one client's ICE, DTLS, SRTP and data channels.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rtp::{LayerId, TrackId};

use crate::{
    CloseReason, Drops, Endpoint, Environment, IceCredentials, PeerConfig, PeerEvent, PeerStatistics,
    TrackStatistics, Transmit,
    data::{DataChannels, MAX_MESSAGE},
    dtls::{Dtls, DtlsEvent, Established},
    event_log::{EventLog, log_event},
    ice::{Ice, Presence},
    receiver::{Context, Receiver},
    sdp::{AnswerContext, Fingerprint, Offer, OfferError, Session, negotiate, write_answer},
    srtp::Srtp,
    stream::Times,
    tracks::Tracks,
};

/// The answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The session description, complete: no candidate follows.
    pub sdp: String,
    /// Our ICE user fragment. An ICE restart changes it; the previous one remains valid until
    /// [`PeerEvent::UfragRetired`].
    pub ufrag: String,
}

/// Events and datagrams that wait to be polled. The caller polls after each input. Past this an input is dropped and
/// counted ([`Drops::queue_full`]).
const MAX_QUEUED: usize = 4096;

/// One client. The caller hands in offers, datagrams and the time, and then polls datagrams to send, events, and the
/// time of the next timeout. Dropping it sends nothing: call [`close`](Self::close) before.
///
/// ```
/// use std::{sync::Arc, time::{Duration, Instant}};
///
/// use peer::{Candidate, Codec, Environment, IceCredentials, Peer, PeerConfig, Protocol, TransportTimeouts};
///
/// let environment = Arc::new(Environment::new()?);
/// let config = Arc::new(PeerConfig {
///     candidates: vec![Candidate { protocol: Protocol::Udp, address: "192.0.2.1:4000".parse()? }],
///     codecs: vec![Codec::Vp8.into(), Codec::Opus.into()],
///     timeouts: TransportTimeouts::default(),
///     max_wait: Duration::from_secs(1),
///     max_offer_bytes: 64 * 1024,
///     max_sections: 16,
/// });
/// let now = Instant::now();
/// let mut peer = Peer::new(environment, config, "session-1".to_owned());
///
/// // Random in real use. The caller routes the client's first datagram by the user fragment.
/// let credentials =
///     IceCredentials { ufrag: "ours".to_owned(), password: "aPasswordThatIsLongEnough".to_owned() };
/// let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
///     m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\n\
///     a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=mid:0\r\na=sendonly\r\n\
///     a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fingerprint:sha-256 00:00:00:00:00:00:00:00:\
///     00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\r\n";
/// let answer = peer.accept_offer(offer, credentials, now)?;
/// assert!(answer.sdp.contains("a=setup:passive"));
///
/// // For each datagram: peer.handle_datagram(now, arrival, source, destination, &bytes). Then, and after a timeout:
/// while let Some(transmit) = peer.poll_transmit() {
///     println!("send {} bytes to {}", transmit.payload.len(), transmit.destination.address);
/// }
/// while let Some(event) = peer.poll_event() {
///     println!("{event:?}"); // TrackAdded; later Connected and Rtp
/// }
/// // Until this time the client has to have connected.
/// assert_eq!(peer.poll_timeout(), Some(now + Duration::from_secs(30)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Of the client's certificate, by its offer. None before the first offer.
    fingerprint: Option<Fingerprint>,
    connect_deadline: Option<Instant>,
    connected: bool,
    session_id: u64,
    answers: u64,
    closed: bool,
    events: VecDeque<PeerEvent>,
    transmits: VecDeque<Transmit>,
    /// Of datagrams that no receiver has handled.
    drops: Drops,
    log: EventLog,
}

impl Peer {
    /// A peer that has received no offer. `session_id` names it in log events.
    #[must_use]
    pub fn new(environment: Arc<Environment>, config: Arc<PeerConfig>, session_id: String) -> Self {
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
            drops: Drops::default(),
            log: EventLog::new(session_id),
        }
    }

    /// Answers an offer: the first, or a renegotiation. `fresh` is used if this is the first or an ICE restart.
    ///
    /// # Errors
    /// [`OfferError`]. The peer is unchanged then.
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
        let ice_restart = !first && self.ice.is_new_generation(&offer.ufrag);
        if self.ice.is_new_generation(&offer.ufrag)
            && let Some(retired) = self.ice.begin_generation(fresh, offer.ufrag)
        {
            self.events.push_back(PeerEvent::UfragRetired(retired));
        }
        self.fingerprint = Some(offer.fingerprint);
        self.session = session;
        let sections = self.session.sections.len();
        log_event!(self.log, now, sections, ice_restart, "offer accepted");
        let known_events = self.events.len();
        self.tracks.apply(&self.session, &mut self.events);
        for event in self.events.range(known_events..) {
            log_track_event(&mut self.log, now, event);
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.configure(&self.session, &self.tracks);
        }
        self.answers += 1;
        Ok(self.answer())
    }

    fn answer(&self) -> Answer {
        let Some(credentials) = self.ice.credentials() else {
            debug_assert!(false, "the first offer begins a generation");
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

    /// Handles a datagram that was received at `arrival`, not after `now`. Poll [`poll_event`](Self::poll_event) and
    /// [`poll_transmit`](Self::poll_transmit) afterwards. A datagram that can't be used is dropped and counted in
    /// [`Drops`]; a closed peer drops all without counting.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        arrival: Instant,
        source: Endpoint,
        destination: SocketAddr,
        datagram: &[u8],
    ) {
        if self.closed {
            return;
        }
        if self.events.len() >= MAX_QUEUED || self.transmits.len() >= MAX_QUEUED {
            self.drops.queue_full += 1;
            return;
        }
        // RFC 7983 §7; RTCP within RTP's range by RFC 5761 §4.
        match datagram {
            [0..=3, ..] => self.handle_stun(now, source, destination, datagram),
            [20..=63, ..] if self.ice.is_verified(source) => self.handle_dtls(now, datagram),
            [128..=191, 192..=223, ..] => self.handle_rtcp(Times { arrival, now }, datagram),
            [128..=191, _, ..] => self.handle_rtp(Times { arrival, now }, datagram),
            _ => self.drops.unexpected += 1,
        }
    }

    fn handle_stun(&mut self, now: Instant, source: Endpoint, destination: SocketAddr, datagram: &[u8]) {
        let crypto = self.environment.crypto.crypto();
        let outcome = self.ice.handle_check(datagram, source, destination, now, crypto);
        if outcome.heard {
            self.note_presence(now);
        } else {
            self.drops.stun += 1;
        }
        self.transmits.extend(outcome.response);
        if outcome.moved {
            let (remote, protocol) = (source.address, source.protocol);
            log_event!(self.log, now, %remote, ?protocol, "ICE path selected");
            if self.connected {
                self.events.push_back(PeerEvent::PathChanged(source));
            }
        }
        self.events.extend(outcome.retired.into_iter().map(PeerEvent::UfragRetired));
    }

    fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) {
        if self.dtls.is_none() {
            match self.environment.dtls.session() {
                Ok(session) => self.dtls = Some(Dtls::new(session)),
                Err(error) => return self.finish(CloseReason::Dtls(error.to_string()), now),
            }
        }
        let Some(dtls) = &mut self.dtls else {
            debug_assert!(false, "a session was made above");
            return;
        };
        let mut events = Vec::new();
        let result = dtls.handle_datagram(datagram, now, &mut events);
        self.drops.dtls += dtls.take_dropped();
        self.flush_dtls();
        for event in events {
            match event {
                DtlsEvent::Established(established) => self.handle_established(&established, now),
                DtlsEvent::Data(packet) => self.handle_data(packet, now),
                DtlsEvent::Closed => {
                    if let Some(dtls) = &mut self.dtls {
                        dtls.close();
                    }
                    self.flush_dtls();
                    self.finish(CloseReason::Remote, now);
                }
            }
        }
        if let Err(error) = result {
            self.finish(CloseReason::Dtls(error.0), now);
        }
    }

    fn handle_established(&mut self, established: &Established, now: Instant) {
        // RFC 8122 §6.2: the certificate has to be the one that signaling vouches for.
        if self.fingerprint.map(|known| known.0) != Some(established.client_fingerprint) {
            self.send_close_notify();
            let reason = "the client's certificate isn't the one of its offer".to_owned();
            return self.finish(CloseReason::Dtls(reason), now);
        }
        if let Err(error) = self.start_receiver(established) {
            self.send_close_notify();
            return self.finish(CloseReason::Dtls(error), now);
        }
        self.connected = true;
        self.connect_deadline = None;
        let srtp_profile = established.srtp.as_ref().map_or("", |(profile, _)| profile.name());
        let round_trip_ms = self.dtls.as_ref().and_then(Dtls::round_trip).map(|time| time.as_millis());
        log_event!(
            self.log,
            now,
            cipher = established.cipher,
            srtp_profile,
            ?round_trip_ms,
            "DTLS established"
        );
        if let Some(path) = self.ice.path() {
            self.events.push_back(PeerEvent::Connected {
                remote: path.remote,
                cipher: established.cipher,
                srtp_profile,
            });
        }
    }

    fn start_receiver(&mut self, established: &Established) -> Result<(), String> {
        let Some((profile, keying_material)) = &established.srtp else {
            let data_alone = self.session.media().next().is_none();
            return if data_alone { Ok(()) } else { Err("no SRTP profile in common".to_owned()) };
        };
        let srtp = Srtp::new(*profile, keying_material, Arc::clone(&self.environment.crypto))?;
        let round_trip = self.dtls.as_ref().and_then(Dtls::round_trip);
        self.receiver = Some(Receiver::new(srtp, &self.session, round_trip, self.config.max_wait));
        Ok(())
    }

    fn handle_data(&mut self, packet: Vec<u8>, now: Instant) {
        self.ice.heard(now);
        self.note_presence(now);
        if self.session.has_data() {
            self.data.get_or_insert_with(DataChannels::new).handle_packet(packet, now, &mut self.events);
            self.flush_data();
        }
    }

    fn flush_data(&mut self) {
        if let (Some(data), Some(dtls)) = (&mut self.data, &mut self.dtls) {
            while let Some(packet) = data.poll_transmit() {
                // SCTP resends a packet that is lost here; the next read of a broken session returns its error.
                let _ = dtls.send(&packet);
            }
        }
        self.flush_dtls();
    }

    fn flush_dtls(&mut self) {
        let (Some(dtls), Some(path)) = (&mut self.dtls, self.ice.path()) else { return };
        while let Some(datagram) = dtls.poll_transmit() {
            self.transmits.push_back(path.transmit(datagram));
        }
    }

    fn handle_rtp(&mut self, times: Times, datagram: &[u8]) {
        let Some(receiver) = &mut self.receiver else {
            self.drops.before_keys += 1;
            return;
        };
        let mut context = Context {
            session: &self.session,
            tracks: &mut self.tracks,
            events: &mut self.events,
            log: &mut self.log,
        };
        if receiver.handle_rtp(datagram, times, &mut context) {
            self.note_authentic(times.now);
        }
    }

    fn handle_rtcp(&mut self, times: Times, datagram: &[u8]) {
        let Some(receiver) = &mut self.receiver else {
            self.drops.before_keys += 1;
            return;
        };
        let mut context = Context {
            session: &self.session,
            tracks: &mut self.tracks,
            events: &mut self.events,
            log: &mut self.log,
        };
        if receiver.handle_rtcp(datagram, times, &mut context) {
            self.note_authentic(times.now);
        }
    }

    fn note_authentic(&mut self, now: Instant) {
        self.ice.heard(now);
        self.note_presence(now);
        if let Some(dtls) = &mut self.dtls {
            dtls.client_completed();
        }
    }

    /// Reports a change between silence and its end.
    fn note_presence(&mut self, now: Instant) {
        if !self.connected {
            return;
        }
        match self.ice.presence_change(now, &self.config.timeouts) {
            Some(Presence::Heard) => {
                log_event!(self.log, now, "client is heard again");
                self.events.push_back(PeerEvent::Reconnected);
            }
            Some(Presence::Silent) => {
                log_event!(self.log, now, "client is silent");
                self.events.push_back(PeerEvent::Disconnected);
            }
            Some(Presence::Lost) => self.finish(CloseReason::IceFailed, now),
            None => {}
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.connect_deadline.is_some_and(|deadline| deadline <= now) {
            return self.finish(CloseReason::ConnectTimeout, now);
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
            self.transmits.extend(
                receiver.feedback(now, &mut self.log).into_iter().map(|datagram| path.transmit(datagram)),
            );
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next. None if nothing is due: before the first offer, and once
    /// the peer is closed.
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

    /// The next event.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// Requests a keyframe by PLI, or by FIR where only that was negotiated: at most once in 500 ms from each source.
    /// Ignored where neither was negotiated.
    pub fn request_keyframe(&mut self, track: TrackId, layer: LayerId, now: Instant) {
        if self.closed {
            return;
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.request_keyframe(track, layer, now);
        }
        self.send_feedback(now);
    }

    /// Sends close_notify and closes with [`CloseReason::Local`]. The datagram remains to be polled.
    pub fn close(&mut self, now: Instant) {
        if !self.closed {
            self.send_close_notify();
            self.finish(CloseReason::Local, now);
        }
    }

    fn send_close_notify(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
        }
        self.flush_dtls();
    }

    fn finish(&mut self, reason: CloseReason, now: Instant) {
        if !self.closed {
            log_event!(self.log, now, ?reason, "peer closed");
            self.closed = true;
            self.dtls = None;
            self.data = None;
            self.events.push_back(PeerEvent::Closed(reason));
        }
    }

    /// Whether a DTLS handshake is under way. Datagrams should be handed in at once then, not on a tick.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        !self.closed && !self.connected && self.ice.path().is_some()
    }

    /// Whether `close` was called or the peer closed itself.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// All counters. Allocates; [`drops`](Self::drops) does not.
    #[must_use]
    pub fn statistics(&self) -> PeerStatistics {
        let of = |track| {
            self.receiver
                .as_ref()
                .map_or_else(TrackStatistics::default, |receiver| receiver.statistics(track))
        };
        PeerStatistics {
            drops: self.drops(),
            tracks: self.tracks.ids().map(|track| (track, of(track))).collect(),
        }
    }

    /// What was dropped so far, of all tracks and of none.
    #[must_use]
    pub fn drops(&self) -> Drops {
        let mut drops = self.drops;
        if let Some(receiver) = &self.receiver {
            drops += receiver.drops();
        }
        drops
    }

    /// The round-trip time: of the handshake, then smoothed over resends. None while it is not known.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.receiver.as_ref().and_then(Receiver::round_trip)
    }
}

fn log_track_event(log: &mut EventLog, now: Instant, event: &PeerEvent) {
    match event {
        PeerEvent::TrackAdded(track) => {
            let codecs: Vec<_> = track.formats.iter().map(|format| format.encoding.name()).collect();
            log_event!(log, now, track = %track.id, mid = %track.mid, kind = ?track.kind, ?codecs, "track added");
        }
        PeerEvent::TrackChanged(track) => {
            log_event!(log, now, track = %track.id, mid = %track.mid, "track changed");
        }
        PeerEvent::TrackPaused(track) => log_event!(log, now, %track, "track paused"),
        PeerEvent::TrackResumed(track) => log_event!(log, now, %track, "track resumed"),
        PeerEvent::TrackEnded(track) => log_event!(log, now, %track, "track ended"),
        _ => debug_assert!(false, "negotiation changes tracks alone"),
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
