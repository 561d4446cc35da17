//! A session as its shard holds it: peer, recorder and the way to its file, wired together.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use chrono::Utc;
use media::Input;
use model::{EndReason, SessionId};
use peer::{
    Answer, Endpoint, Environment, IceCredentials, OfferError, Peer, PeerConfig, PeerEvent, Transmit,
};
use rtp::TrackId;
use spool::SpoolFile;
use tracing::{debug, info};

use super::{commands::SessionStatistics, demux::Reach};
use crate::session::{
    convert,
    file_recorder::FileRecorder,
    finalizing::{Ended, WrittenDown},
    state::{Action, Bounds, Event, State, step},
};

/// A session that is received.
pub(super) struct Live {
    pub(super) id: SessionId,
    /// What routes to it.
    pub(super) reach: Reach,
    /// User fragments that must route to it no more.
    pub(super) retired: Vec<String>,
    /// Whether it waits for its output to be fetched.
    pub(super) dirty: bool,
    /// Data messages since they were last asked for.
    pub(super) data_messages: u64,
    peer: Peer,
    tape: FileRecorder,
    state: State,
    written_down: WrittenDown,
    tracks: Vec<(TrackId, String)>,
    /// The earliest of the peer's, the recorder's and the session's own timers.
    due: Option<Instant>,
    seal: Option<EndReason>,
    /// Whether it panicked.
    broken: bool,
}

impl Live {
    /// A session that has seen no offer.
    pub(super) fn new(
        environment: Arc<Environment>,
        config: Arc<PeerConfig>,
        written_down: WrittenDown,
        file: SpoolFile,
        bounds: Bounds,
        now: Instant,
    ) -> Self {
        let recording = &written_down.begun;
        let (id, wall) = (recording.id.into(), SystemTime::from(recording.started_at));
        Self {
            id,
            reach: Reach::default(),
            retired: Vec::new(),
            dirty: false,
            data_messages: 0,
            peer: Peer::new(environment, config, now),
            tape: FileRecorder::new(file, now, wall),
            state: State::Connecting(bounds),
            written_down,
            tracks: Vec::new(),
            due: None,
            seal: None,
            broken: false,
        }
    }

    /// Answers an offer. One that is refused changes nothing.
    pub(super) fn accept_offer(
        &mut self,
        sdp: &str,
        fresh: IceCredentials,
        now: Instant,
    ) -> Result<Answer, OfferError> {
        if !self.state.is_live() {
            return Err(OfferError::Closed);
        }
        let answer = self.peer.accept_offer(sdp, fresh, now)?;
        self.pump(now);
        Ok(answer)
    }

    /// Hands the peer a datagram. What it makes of it waits for [`pump`](Self::pump), which costs less for many.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        arrival: Instant,
        source: Endpoint,
        destination: SocketAddr,
        datagram: &[u8],
    ) {
        self.peer.handle_datagram(now, arrival, source, destination, datagram);
    }

    /// Does what is due; with `check_spool` looks whether the disk still takes what it is given.
    pub(super) fn handle_timeout(&mut self, now: Instant, check_spool: bool) {
        if check_spool {
            self.tape.check(now);
        }
        if self.peer.poll_timeout().is_some_and(|due| due <= now) {
            self.peer.handle_timeout(now);
        }
        if self.tape.due().is_some_and(|due| due <= now) {
            self.record(Input::Timeout(now), now);
        }
        self.apply(Event::Tick, now);
        self.pump(now);
    }

    pub(super) fn stop(&mut self, reason: EndReason, now: Instant) {
        self.apply(Event::Stop(reason), now);
        self.pump(now);
    }

    /// Pauses or resumes it; false if it is over.
    pub(super) fn pause(&mut self, paused: bool, now: Instant) -> bool {
        if self.state.is_live() {
            self.record(if paused { Input::Pause(now) } else { Input::Resume(now) }, now);
            self.pump(now);
        }
        self.state.is_live()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.broken { None } else { self.peer.poll_transmit() }
    }

    /// Computes anew when it is due.
    pub(super) fn refresh_due(&mut self) {
        let own = [self.peer.poll_timeout(), self.tape.due(), self.state.ends_at()];
        self.due = own.into_iter().flatten().min();
    }

    /// When it wants to be called without an input.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.peer.is_handshaking()
    }

    /// Ends it without asking peer and recorder, which can't be trusted any more.
    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.tape.distrust();
        self.state = State::Sealing(EndReason::TransportFailed);
        self.seal = Some(EndReason::TransportFailed);
    }

    /// Whether the recorder has finished, so that it can be taken apart.
    pub(super) fn is_over(&self) -> bool {
        self.seal.is_some()
    }

    pub(super) fn statistics(&self) -> SessionStatistics {
        let recorder = self.tape.statistics();
        let received = self.peer.statistics();
        let of_track = |(id, name): &(TrackId, String)| {
            let written = recorder.tracks.iter().find(|(track, _)| track == id);
            let received = received.iter().find(|(track, _)| track == id);
            (
                name.clone(),
                written.map(|(_, counters)| counters.clone()).unwrap_or_default(),
                received.map(|(_, counters)| counters.clone()).unwrap_or_default(),
            )
        };
        SessionStatistics {
            id: self.id,
            paused: self.tape.is_paused(),
            bytes: recorder.bytes,
            tracks: self.tracks.iter().map(of_track).collect(),
        }
    }

    /// Takes it apart for the seal. Its routes are to be forgotten.
    pub(super) fn into_ended(self) -> (Reach, Option<Ended>) {
        let Some(reason) = self.seal else { return (self.reach, None) };
        let (queue, written, summary) = self.tape.finish();
        let ended = Ended {
            id: self.id,
            state: self.state,
            reason,
            at: Utc::now(),
            written_down: self.written_down,
            queue,
            written,
            summary,
        };
        (self.reach, Some(ended))
    }

    /// Moves what the peer has to the recorder, and what the recorder has to the file.
    pub(super) fn pump(&mut self, now: Instant) {
        while let Some(event) = self.peer.poll_event() {
            match convert::recorder_input(event, now) {
                Ok(input) => self.tape.tell(input),
                Err(event) => self.handle_peer_event(event, now),
            }
        }
        self.drain_tape(now);
        self.settle(now);
    }

    fn handle_peer_event(&mut self, event: PeerEvent, now: Instant) {
        match event {
            PeerEvent::TrackAdded(track) | PeerEvent::TrackChanged(track) => {
                let track = convert::track_config(track);
                match self.tracks.iter_mut().find(|(id, _)| *id == track.id) {
                    Some((_, name)) => name.clone_from(&track.name),
                    None => self.tracks.push((track.id, track.name.clone())),
                }
                self.tape.tell(Input::AddTrack { track, at: now });
            }
            PeerEvent::Connected { remote, cipher, srtp_profile } => {
                info!(session_id = %self.id, ?remote, cipher, srtp_profile, "connected");
                self.apply(Event::Connected, now);
            }
            PeerEvent::PathChanged(remote) => info!(session_id = %self.id, ?remote, "path changed"),
            PeerEvent::Disconnected => info!(session_id = %self.id, "disconnected, waiting for the client"),
            PeerEvent::Reconnected => info!(session_id = %self.id, "the client is back"),
            PeerEvent::UfragRetired(ufrag) => self.retired.push(ufrag),
            PeerEvent::Closed(reason) => {
                debug!(session_id = %self.id, ?reason, "peer closed");
                self.apply(Event::PeerClosed(reason), now);
            }
            PeerEvent::DataMessage { .. } => self.data_messages += 1,
            // A paused track keeps its place in the file: it may come back. The rest went to the recorder.
            PeerEvent::TrackPaused(_)
            | PeerEvent::TrackResumed(_)
            | PeerEvent::TrackEnded(_)
            | PeerEvent::Rtp { .. }
            | PeerEvent::SenderReport { .. } => {}
        }
    }

    fn record(&mut self, input: Input, now: Instant) {
        self.tape.tell(input);
        self.drain_tape(now);
    }

    fn drain_tape(&mut self, now: Instant) {
        let peer = &mut self.peer;
        self.tape.drain(now, |track, layer| peer.request_keyframe(track, layer, now));
    }

    /// Acts on what the last inputs did to the file.
    fn settle(&mut self, now: Instant) {
        if let Some(outcome) = self.tape.outcome(self.id, self.state) {
            self.apply(outcome, now);
        }
    }

    fn apply(&mut self, event: Event, now: Instant) {
        let (state, actions) = step(self.state, event, now);
        self.state = state;
        for action in actions {
            match action {
                Action::ClosePeer => self.peer.close(now),
                Action::FinishRecorder => {
                    self.record(Input::Finish(now), now);
                    self.apply(Event::RecorderFinished, now);
                }
                Action::Seal(reason) => self.seal = Some(reason),
                // The registry is the sealer's business.
                Action::Forget => {}
            }
        }
    }
}
