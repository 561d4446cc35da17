//! A WebRTC session on its shard: a peer that feeds a session, and the session's routes.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use media::Input;
use model::SessionId;
use peer::{
    Answer, Endpoint, Environment, IceCredentials, OfferError, Peer, PeerConfig, PeerEvent, Transmit,
};
use rtp::{LayerId, TrackId};
use spool::SpoolFile;
use tracing::{debug, info};

use super::demux::SessionRoutes;
use crate::session::{
    Feeder, FeederStatistics, Session, convert,
    file_recorder::FileRecorder,
    finalizing::{BegunSession, EndedSession},
    state::{Event, SessionLimits, State},
    statistics::{SessionDrops, TrackStatus},
};

/// A WebRTC session, as its shard holds it.
pub(super) struct WebrtcSession {
    session: Session<PeerFeeder>,
    pub(super) routes: SessionRoutes,
    /// Whether its output waits to be fetched.
    pub(super) is_marked: bool,
    /// The session's earliest timer, computed once per wake-up.
    due: Option<Instant>,
    /// Whether it panicked: then the peer is not asked any more.
    broken: bool,
}

impl WebrtcSession {
    /// A session before its first offer.
    pub(super) fn new(
        environment: Arc<Environment>,
        config: Arc<PeerConfig>,
        begun: BegunSession,
        file: SpoolFile,
        limits: SessionLimits,
        now: Instant,
    ) -> Self {
        let id: SessionId = begun.recording.id.into();
        let feeder = PeerFeeder {
            id,
            peer: Peer::new(environment, config, id.to_string()),
            tracks: Vec::new(),
            retired_ufrags: Vec::new(),
            data_messages: 0,
            data_messages_reported: 0,
            has_media: false,
        };
        Self {
            session: Session::new(feeder, begun, file, State::Connecting(limits), now),
            routes: SessionRoutes::default(),
            is_marked: false,
            due: None,
            broken: false,
        }
    }

    pub(super) fn session(&self) -> &Session<PeerFeeder> {
        &self.session
    }

    pub(super) fn session_mut(&mut self) -> &mut Session<PeerFeeder> {
        &mut self.session
    }

    /// Answers an offer. A refused offer changes nothing.
    pub(super) fn accept_offer(
        &mut self,
        sdp: &str,
        fresh: IceCredentials,
        now: Instant,
    ) -> Result<Answer, OfferError> {
        if !self.session.is_live() {
            return Err(OfferError::Closed);
        }
        let answer = self.session.feeder_mut().peer.accept_offer(sdp, fresh, now)?;
        self.session.pump(now);
        Ok(answer)
    }

    /// Gives the peer a datagram. Its media waits for the session's pump: one call for many datagrams costs less.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        arrival: Instant,
        source: Endpoint,
        destination: SocketAddr,
        datagram: &[u8],
    ) {
        self.session.feeder_mut().peer.handle_datagram(now, arrival, source, destination, datagram);
    }

    /// Handles the timers that are due. With `check_disk` it checks whether the disk keeps up.
    pub(super) fn handle_timeout(&mut self, now: Instant, check_disk: bool) {
        if check_disk {
            self.session.check_disk(now);
        }
        self.session.handle_timeout(now);
    }

    /// The next datagram to send.
    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.broken { None } else { self.session.feeder_mut().peer.poll_transmit() }
    }

    /// The user fragments that no longer route to it. They are returned once.
    pub(super) fn take_retired_ufrags(&mut self) -> Vec<String> {
        std::mem::take(&mut self.session.feeder_mut().retired_ufrags)
    }

    /// Data-channel messages dropped since the last call.
    pub(super) fn take_data_messages(&mut self) -> u64 {
        let feeder = self.session.feeder_mut();
        let since = feeder.data_messages - feeder.data_messages_reported;
        feeder.data_messages_reported = feeder.data_messages;
        since
    }

    /// Computes [`due`](Self::due) again.
    pub(super) fn refresh_due(&mut self) {
        self.due = self.session.due();
    }

    /// When its earliest timer is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.feeder().peer.is_handshaking()
    }

    /// Ends the session after a panic in it.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.session.break_off();
    }

    /// Takes it apart for its finalization; no session if it is not over.
    pub(super) fn into_ended(self) -> (SessionRoutes, Option<EndedSession>) {
        (self.routes, self.session.into_ended())
    }
}

/// Feeds a session with the media that its peer receives.
pub(super) struct PeerFeeder {
    id: SessionId,
    peer: Peer,
    tracks: Vec<(TrackId, String)>,
    /// User fragments that no longer route to the session.
    retired_ufrags: Vec<String>,
    /// Data-channel messages received and dropped.
    data_messages: u64,
    data_messages_reported: u64,
    has_media: bool,
}

impl PeerFeeder {
    /// Handles an event that is not media; returns its effect on the session's state.
    fn handle_event(&mut self, event: PeerEvent, recorder: &mut FileRecorder, now: Instant) -> Option<Event> {
        let id = self.id;
        match event {
            PeerEvent::TrackAdded(track) | PeerEvent::TrackChanged(track) => {
                let track = convert::track_config(track);
                match self.tracks.iter_mut().find(|(id, _)| *id == track.id) {
                    Some((_, name)) => name.clone_from(&track.name),
                    None => self.tracks.push((track.id, track.name.clone())),
                }
                recorder.push(Input::AddTrack { track, at: now });
            }
            PeerEvent::Connected { remote, cipher, srtp_profile } => {
                info!(session_id = %id, ?remote, cipher, srtp_profile, "connected: ICE and DTLS are up");
                return Some(Event::Connected);
            }
            PeerEvent::PathChanged(remote) => info!(session_id = %id, ?remote, "path changed"),
            PeerEvent::Disconnected => info!(session_id = %id, "disconnected, waiting for the client"),
            PeerEvent::Reconnected => info!(session_id = %id, "reconnected"),
            PeerEvent::UfragRetired(ufrag) => self.retired_ufrags.push(ufrag),
            PeerEvent::Closed(reason) => {
                debug!(session_id = %id, ?reason, "peer closed");
                return Some(Event::PeerClosed(reason));
            }
            PeerEvent::DataMessage { .. } => self.data_messages += 1,
            // A paused track stays in the file: it may resume.
            PeerEvent::TrackPaused(_) | PeerEvent::TrackResumed(_) => {}
            PeerEvent::TrackEnded(_) | PeerEvent::Rtp { .. } | PeerEvent::SenderReport { .. } => {
                debug_assert!(false, "`convert::recorder_input` makes an input of these");
            }
        }
        None
    }
}

impl Feeder for PeerFeeder {
    fn feed(&mut self, recorder: &mut FileRecorder, now: Instant) -> Option<Event> {
        while let Some(event) = self.peer.poll_event() {
            match convert::recorder_input(event, now) {
                Ok(input) => {
                    if !self.has_media && matches!(input, Input::Rtp { .. }) {
                        self.has_media = true;
                        debug!(session_id = %self.id, "first media");
                    }
                    recorder.push(input);
                }
                Err(event) => {
                    if let Some(event) = self.handle_event(event, recorder, now) {
                        return Some(event);
                    }
                }
            }
        }
        None
    }

    /// The peer holds back only packets that wait for resends, which the recorder orders.
    fn flush(&mut self, _: &mut FileRecorder, _: Instant) {}

    fn request_keyframe(&mut self, track: TrackId, layer: LayerId, now: Instant) {
        self.peer.request_keyframe(track, layer, now);
    }

    fn close(&mut self, now: Instant) {
        self.peer.close(now);
    }

    fn due(&self) -> Option<Instant> {
        self.peer.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
    }

    fn statistics(&self, recorder: &media::Statistics) -> FeederStatistics {
        let received = self.peer.statistics();
        let of_track = |(id, name): &(TrackId, String)| {
            let recorded = recorder.tracks.iter().find(|(track, _)| track == id);
            let received = received.tracks.iter().find(|(track, _)| track == id);
            TrackStatus {
                name: name.clone(),
                recorded: recorded.map(|(_, counters)| counters.clone()).unwrap_or_default(),
                received: received.map(|(_, counters)| counters.clone()).unwrap_or_default(),
            }
        };
        FeederStatistics {
            tracks: self.tracks.iter().map(of_track).collect(),
            drops: SessionDrops {
                data_messages: self.data_messages,
                received: received.drops,
                ..SessionDrops::default()
            },
        }
    }
}
