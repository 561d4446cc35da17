//! The task of a session: inputs to the recorder, wishes to the state machine, timers to both.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::FutureExt as _;
use media::{
    Anchor, AudioChunk, AudioError, AudioFormat, Input, LayerId, MediaKind, PushedAudio, TrackConfig, TrackId,
};
use model::{EndReason, SessionId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Control,
    handle::{Refusal, SourceInput},
    pace::Pace,
};
use crate::{
    session::{
        file_recorder::FileRecorder,
        finalizing::{Ended, Sealer, WrittenDown},
        state::{Action, Bounds, Event, State, step},
    },
    shard::SessionStatistics,
};

/// How often the disk is looked at.
const SPOOL_CHECK: Duration = Duration::from_millis(100);
/// A source has no more tracks than a file has numbers for.
const MAX_TRACKS: usize = 126;

/// A session whose media comes by a [`SourceHandle`](super::SourceHandle).
pub(super) struct Session {
    id: SessionId,
    tape: FileRecorder,
    state: State,
    written_down: WrittenDown,
    tracks: BTreeMap<TrackId, Track>,
    refused: Refusal,
    seal: Option<EndReason>,
}

struct Track {
    name: String,
    /// Of a track that is pushed.
    audio: Option<PushedAudio>,
    /// Payload bytes received.
    bytes: u64,
}

/// Runs a session until it is over and hands it to the seal. On cancellation it stops where it is: the next start goes
/// on.
pub(super) async fn run(
    mut session: Session,
    inputs: mpsc::Receiver<SourceInput>,
    controls: mpsc::Receiver<Control>,
    pace: Pace,
    sealer: Arc<Sealer>,
    cancelled: CancellationToken,
) {
    // What a panic leaves half changed is not looked at again: only the file is, and that is repaired.
    let live = AssertUnwindSafe(session.live(inputs, controls, &pace)).catch_unwind();
    match cancelled.run_until_cancelled(live).await {
        None => return,
        Some(Ok(())) => {}
        Some(Err(_)) => {
            error!(session_id = %session.id, "the session panicked and ends");
            session.tape.distrust();
            session.state = State::Sealing(EndReason::TransportFailed);
            session.seal = Some(EndReason::TransportFailed);
        }
    }
    if let Some(ended) = session.into_ended() {
        sealer.seal(ended);
    }
}

impl Session {
    pub(super) fn new(
        written_down: WrittenDown,
        tape: FileRecorder,
        bounds: Bounds,
        refused: Refusal,
    ) -> Self {
        Self {
            id: written_down.begun.id.into(),
            tape,
            state: State::Recording(bounds),
            written_down,
            tracks: BTreeMap::new(),
            refused,
            seal: None,
        }
    }

    async fn live(
        &mut self,
        mut inputs: mpsc::Receiver<SourceInput>,
        mut controls: mpsc::Receiver<Control>,
        pace: &Pace,
    ) {
        let mut next_check = now() + SPOOL_CHECK;
        while self.seal.is_none() {
            let behind = pace.is_behind(self.tape.handed());
            let due = [Some(next_check), self.tape.due(), self.state.ends_at()].into_iter().flatten().min();
            let due = due.unwrap_or(next_check).into();
            tokio::select! {
                biased;
                Some(control) = controls.recv() => self.obey(control, &mut inputs, pace).await,
                () = tokio::time::sleep_until(due) => {
                    let now = now();
                    if now >= next_check {
                        next_check = now + SPOOL_CHECK;
                        self.tape.check(now);
                    }
                    self.timeout(now);
                }
                () = pace.more(), if behind => {}
                input = inputs.recv(), if !behind => self.take(input),
            }
        }
    }

    /// Carries out a wish, after the inputs that were on their way when it came.
    async fn obey(&mut self, control: Control, inputs: &mut mpsc::Receiver<SourceInput>, pace: &Pace) {
        if !matches!(control, Control::Statistics(_)) {
            for _ in 0..inputs.len() {
                self.wait_for_disk(pace).await;
                match inputs.try_recv() {
                    Ok(input) if self.state.is_live() => self.take(Some(input)),
                    _ => break,
                }
            }
        }
        let now = now();
        match control {
            Control::Stop(reason) => self.apply(Event::Stop(reason), now),
            Control::Pause { paused, answer } => {
                if self.state.is_live() {
                    self.pause(paused, now);
                }
                // Whoever asked may have given up waiting.
                let _ = answer.send(self.state.is_live());
            }
            Control::Statistics(answer) => drop(answer.send(self.statistics())),
        }
    }

    /// Returns when little enough is on its way to the disk, or the disk has failed.
    async fn wait_for_disk(&mut self, pace: &Pace) {
        while self.state.is_live() && pace.is_behind(self.tape.handed()) {
            let _ = tokio::time::timeout(SPOOL_CHECK, pace.more()).await;
            let now = now();
            self.tape.check(now);
            self.settle(now);
        }
    }

    /// Takes an input; none: the source dropped its handle.
    fn take(&mut self, input: Option<SourceInput>) {
        let now = now();
        match input {
            None => self.apply(Event::Stop(EndReason::PeerClosed), now),
            Some(SourceInput::Finish(reason)) => self.apply(Event::Stop(reason), now),
            Some(SourceInput::Track(track)) => self.add_track(track, None, now),
            Some(SourceInput::Audio { track, name, format }) => self.add_audio(track, name, format, now),
            Some(SourceInput::Rtp { track, arrival, packet }) => {
                self.count(track, packet.payload.len());
                self.record(Input::Rtp { track, layer: LayerId(0), arrival: arrival.min(now), packet }, now);
            }
            Some(SourceInput::SenderReport { track, arrival, report }) => {
                let (layer, arrival) = (LayerId(0), arrival.min(now));
                self.record(Input::SenderReport { track, layer, arrival, report }, now);
            }
            Some(SourceInput::Chunk { track, chunk }) => {
                self.count(track, chunk.data.len());
                self.push(track, chunk, now);
            }
            Some(SourceInput::EndTrack(track)) => {
                self.flush(track, now);
                self.record(Input::EndTrack { track, at: now }, now);
            }
        }
        self.settle(now);
    }

    fn count(&mut self, track: TrackId, bytes: usize) {
        if let Some(track) = self.tracks.get_mut(&track) {
            track.bytes += bytes as u64;
        }
    }

    fn add_track(&mut self, track: TrackConfig, audio: Option<PushedAudio>, now: Instant) {
        if self.tracks.len() >= MAX_TRACKS && !self.tracks.contains_key(&track.id) {
            warn!(session_id = %self.id, track = track.id.0, "a track too many is left out");
            return;
        }
        let bytes = self.tracks.get(&track.id).map_or(0, |known| known.bytes);
        self.tracks.insert(track.id, Track { name: track.name.clone(), audio, bytes });
        self.record(Input::AddTrack { track, at: now }, now);
    }

    fn add_audio(&mut self, id: TrackId, name: String, format: AudioFormat, now: Instant) {
        match PushedAudio::new(format) {
            Ok(audio) => {
                let formats = vec![format.payload_format()];
                let kind = MediaKind::Audio;
                let track = TrackConfig { id, name, kind, formats, anchor: Anchor::Arrival };
                self.add_track(track, Some(audio), now);
            }
            Err(error) => self.refuse(error, now),
        }
    }

    fn push(&mut self, track: TrackId, chunk: AudioChunk, now: Instant) {
        let Some(audio) = self.tracks.get_mut(&track).and_then(|track| track.audio.as_mut()) else { return };
        let pushed = audio.push(chunk);
        self.hand_on(track, now);
        if let Err(error) = pushed {
            self.refuse(error, now);
        }
    }

    /// What came before stays.
    fn refuse(&mut self, error: AudioError, now: Instant) {
        info!(session_id = %self.id, %error, "audio that can't be used ends the session");
        let _ = self.refused.set(error);
        self.apply(Event::Stop(EndReason::InvalidMedia), now);
    }

    fn flush(&mut self, track: TrackId, now: Instant) {
        if let Some(audio) = self.tracks.get_mut(&track).and_then(|track| track.audio.as_mut()) {
            audio.flush();
            self.hand_on(track, now);
        }
    }

    fn flush_all(&mut self, now: Instant) {
        let tracks: Vec<_> = self.tracks.keys().copied().collect();
        tracks.into_iter().for_each(|track| self.flush(track, now));
    }

    /// Moves a track's frames to the recorder.
    fn hand_on(&mut self, track: TrackId, now: Instant) {
        let next = |session: &mut Self| session.tracks.get_mut(&track)?.audio.as_mut()?.pop();
        while let Some(frame) = next(self) {
            self.record(Input::Frame { track, at: now, time: frame.time, data: frame.data }, now);
        }
    }

    fn pause(&mut self, paused: bool, now: Instant) {
        // The cut lies between two samples, not between two blocks.
        self.flush_all(now);
        self.record(if paused { Input::Pause(now) } else { Input::Resume(now) }, now);
        self.settle(now);
    }

    fn timeout(&mut self, now: Instant) {
        if self.tape.due().is_some_and(|due| due <= now) {
            self.record(Input::Timeout(now), now);
        }
        self.apply(Event::Tick, now);
        self.settle(now);
    }

    fn record(&mut self, input: Input, now: Instant) {
        // Nobody can be asked for a keyframe: these sources send audio.
        self.tape.tell(input);
        self.tape.drain(now, |_, _| {});
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
                Action::FinishRecorder => {
                    self.flush_all(now);
                    self.record(Input::Finish(now), now);
                    self.apply(Event::RecorderFinished, now);
                }
                Action::Seal(reason) => self.seal = Some(reason),
                // There is no peer, and the registry is the sealer's business.
                Action::ClosePeer | Action::Forget => {}
            }
        }
    }

    fn statistics(&self) -> SessionStatistics {
        let recorder = self.tape.statistics();
        let of_track = |(id, counters): (TrackId, media::TrackStatistics)| {
            let (name, bytes) =
                self.tracks.get(&id).map(|track| (track.name.clone(), track.bytes)).unwrap_or_default();
            let (packets, lost) = (counters.packets, counters.lost);
            (name, counters, peer::TrackStatistics { packets, bytes, lost, ..Default::default() })
        };
        SessionStatistics {
            id: self.id,
            paused: self.tape.is_paused(),
            bytes: recorder.bytes,
            tracks: recorder.tracks.into_iter().map(of_track).collect(),
        }
    }

    fn into_ended(self) -> Option<Ended> {
        let reason = self.seal?;
        let (queue, written, summary) = self.tape.finish();
        Some(Ended {
            id: self.id,
            state: self.state,
            reason,
            at: Utc::now(),
            written_down: self.written_down,
            queue,
            written,
            summary,
        })
    }
}

/// By tokio's clock, so that tests can stop it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
