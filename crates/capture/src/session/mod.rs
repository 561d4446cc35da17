//! One session: the state machine, the file, the limits and the end that every kind of session shares. Only its
//! [`Feeder`] differs: a WebRTC peer on a shard, or the queue of a pushed source.

pub(crate) mod convert;
pub(crate) mod file_recorder;
pub(crate) mod finalizing;
pub(crate) mod state;
pub(crate) mod statistics;

use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;
use media::Input;
use model::{EndReason, SessionId};
use rtp::{LayerId, TrackId};
use spool::SpoolFile;
use tracing::{Span, debug, debug_span, info, warn};

use file_recorder::FileRecorder;
use finalizing::{BegunSession, EndedSession};
use state::{Action, Event, State, step};
use statistics::{SessionStatistics, TrackStatus};

use crate::metrics::ReportedDrops;

/// How often a session's drops are added to the metrics.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// What feeds a session with media.
pub(crate) trait Feeder {
    /// Moves received media to the recorder until nothing is left, or until something happens that may change the
    /// session's state: that is returned, and the session calls again.
    fn feed(&mut self, recorder: &mut FileRecorder, now: Instant) -> Option<Event>;

    /// Moves to the recorder what the feeder holds back. Called before the recording is paused, resumed and finished.
    fn flush(&mut self, recorder: &mut FileRecorder, now: Instant);

    /// Asks the sender for a keyframe.
    fn request_keyframe(&mut self, track: TrackId, layer: LayerId, now: Instant);

    /// Closes the connection to the sender.
    fn close(&mut self, now: Instant);

    /// When [`handle_timeout`](Self::handle_timeout) is due; none if no timer runs.
    fn due(&self) -> Option<Instant>;

    /// Handles the timers that are due.
    fn handle_timeout(&mut self, now: Instant);

    /// Adds the feeder's counters to those of the recorder.
    fn statistics(&self, recorder: &media::Statistics) -> FeederStatistics;
}

/// The counters of a feeder.
#[derive(Debug, Default)]
pub(crate) struct FeederStatistics {
    pub(crate) tracks: Vec<TrackStatus>,
    pub(crate) drops: statistics::SessionDrops,
}

/// A live session. Its owner calls [`pump`](Self::pump) after it gave media to the feeder, and
/// [`handle_timeout`](Self::handle_timeout) when [`due`](Self::due) has passed, until [`is_over`](Self::is_over).
pub(crate) struct Session<F> {
    feeder: F,
    recorder: FileRecorder,
    id: SessionId,
    state: State,
    begun: BegunSession,
    /// Why it ended, once its recorder has finished or can't be trusted.
    end: Option<EndReason>,
    began: Instant,
    /// Whether bytes of the recording are in the file.
    is_aligned: bool,
    /// The drops that the metrics have.
    reported: ReportedDrops,
    next_report: Instant,
    /// Gives the events of `media` the session's id; the peer's events have it. Disabled unless `media` is logged at debug
    /// level, so that it costs nothing per packet.
    span: Span,
}

impl<F: Feeder> Session<F> {
    /// A session without media. `state` is the first one of its kind.
    pub(crate) fn new(feeder: F, begun: BegunSession, file: SpoolFile, state: State, now: Instant) -> Self {
        let id: SessionId = begun.recording.id.into();
        let wall = SystemTime::from(begun.recording.started_at);
        Self {
            feeder,
            recorder: FileRecorder::new(file, now, wall),
            id,
            state,
            begun,
            end: None,
            began: now,
            is_aligned: false,
            reported: ReportedDrops::default(),
            next_report: now + REPORT_INTERVAL,
            span: debug_span!(target: "media", "session", session_id = %id),
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn feeder(&self) -> &F {
        &self.feeder
    }

    pub(crate) fn feeder_mut(&mut self) -> &mut F {
        &mut self.feeder
    }

    pub(crate) fn recorder(&self) -> &FileRecorder {
        &self.recorder
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Whether it takes media and offers.
    pub(crate) fn is_live(&self) -> bool {
        self.state.is_live()
    }

    /// Whether it can be taken apart by [`into_ended`](Self::into_ended).
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// The earliest timer of the feeder, the recorder and the time limit.
    pub(crate) fn due(&self) -> Option<Instant> {
        [self.feeder.due(), self.recorder.due(), self.state.ends_at()].into_iter().flatten().min()
    }

    /// Moves media from the feeder to the recorder, and the recorder's output to the file.
    pub(crate) fn pump(&mut self, now: Instant) {
        while let Some(event) = self.feeder.feed(&mut self.recorder, now) {
            self.apply(event, now);
        }
        self.drain_recorder(now);
        self.apply_file_event(now);
    }

    /// Handles the timers that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.feeder.due().is_some_and(|due| due <= now) {
            self.feeder.handle_timeout(now);
        }
        if self.recorder.due().is_some_and(|due| due <= now) {
            self.record(Input::Timeout(now), now);
        }
        self.apply(Event::Tick, now);
        self.pump(now);
    }

    /// Checks whether the disk keeps up, and reports to the metrics if that is due. A failed disk ends the session in the
    /// next [`pump`](Self::pump). Called every 100 ms or so.
    pub(crate) fn check_disk(&mut self, now: Instant) {
        self.recorder.check_disk(now);
        if now >= self.next_report {
            self.next_report = now + REPORT_INTERVAL;
            self.report_drops();
        }
    }

    /// Ends the session. Does nothing if it is ending already.
    pub(crate) fn stop(&mut self, reason: EndReason, now: Instant) {
        self.apply(Event::Stop(reason), now);
        self.pump(now);
    }

    /// Pauses or resumes the recording. Returns false if the session is ending.
    pub(crate) fn pause(&mut self, paused: bool, now: Instant) -> bool {
        if self.state.is_live() {
            if paused != self.recorder.is_paused() {
                info!(session_id = %self.id, paused, "pause changed");
            }
            // The cut lies between two samples, not between two blocks.
            self.feeder.flush(&mut self.recorder, now);
            self.record(if paused { Input::Pause(now) } else { Input::Resume(now) }, now);
            self.pump(now);
        }
        self.state.is_live()
    }

    /// Ends the session after a panic in it. Feeder and recorder can't be trusted and are not asked: the file is repaired.
    pub(crate) fn break_off(&mut self) {
        self.recorder.distrust();
        self.state = State::Finalizing(EndReason::TransportFailed);
        self.end = Some(EndReason::TransportFailed);
    }

    pub(crate) fn statistics(&self) -> SessionStatistics {
        let recorder = self.recorder.statistics();
        let mut feeder = self.feeder.statistics(&recorder);
        feeder.drops.unknown_track += recorder.unknown_track;
        SessionStatistics {
            id: self.id,
            paused: self.recorder.is_paused(),
            bytes: recorder.bytes,
            tracks: feeder.tracks,
            drops: feeder.drops,
        }
    }

    /// Takes it apart for its finalization; none if it is not over.
    pub(crate) fn into_ended(self) -> Option<EndedSession> {
        let reason = self.end?;
        let (queue, written, summary) = self.recorder.finish();
        Some(EndedSession {
            id: self.id,
            state: self.state,
            reason,
            at: Utc::now(),
            begun: self.begun,
            queue,
            written,
            summary,
        })
    }

    fn record(&mut self, input: Input, now: Instant) {
        self.recorder.push(input);
        self.drain_recorder(now);
    }

    fn drain_recorder(&mut self, now: Instant) {
        let feeder = &mut self.feeder;
        self.recorder.drain(now, |track, layer| feeder.request_keyframe(track, layer, now));
    }

    /// Applies what the recorder's output did to the file.
    fn apply_file_event(&mut self, now: Instant) {
        if !self.state.is_live() {
            return;
        }
        match self.recorder.failure() {
            Some(failure) => {
                warn!(session_id = %self.id, ?failure, "the spool takes no more of the session");
                self.apply(Event::SpoolFailed(failure), now);
            }
            None => {
                let bytes = self.recorder.appended();
                if bytes > 0 && !std::mem::replace(&mut self.is_aligned, true) {
                    let after_ms = now.saturating_duration_since(self.began).as_millis() as u64;
                    debug!(session_id = %self.id, after_ms, "tracks aligned, first bytes written");
                }
                self.apply(Event::Grown(bytes), now);
            }
        }
    }

    /// Adds the drops since the last report to the metrics.
    fn report_drops(&mut self) {
        let statistics = self.statistics();
        self.reported.report(&statistics);
    }

    fn apply(&mut self, event: Event, now: Instant) {
        let (state, actions) = step(self.state, event, now);
        if std::mem::discriminant(&state) != std::mem::discriminant(&self.state) {
            debug!(session_id = %self.id, from = self.state.name(), to = state.name(), "session state changed");
        }
        self.state = state;
        for action in actions {
            match action {
                Action::ClosePeer => self.feeder.close(now),
                Action::FinishRecorder => {
                    self.feeder.flush(&mut self.recorder, now);
                    self.record(Input::Finish(now), now);
                    self.apply(Event::RecorderFinished, now);
                }
                Action::Finalize(reason) => {
                    self.report_drops();
                    self.end = Some(reason);
                }
                Action::Forget => debug_assert!(false, "only the finalizer commits a session"),
            }
        }
    }
}
