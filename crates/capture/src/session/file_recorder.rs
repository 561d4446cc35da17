//! A session's recorder and its file: what the one wants done goes to the other.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use media::{Input, LayerId, Output, Recorder, RecorderConfig, RecordingSummary, Statistics, TrackId};
use model::SessionId;
use tokio::sync::oneshot;
use tracing::warn;

use super::state::{Event, State};
use spool::{Queue, SpoolFailure, SpoolFile, WriteOutcome};

/// Records into a file of the spool. A disk that fails is remembered, and nothing is written behind the hole.
pub(crate) struct FileRecorder {
    recorder: Recorder,
    file: SpoolFile,
    /// When the recorder wants to be called without an input.
    due: Option<Instant>,
    failure: Option<SpoolFailure>,
    summary: Option<RecordingSummary>,
    /// Bytes handed to the file, patches included.
    handed: u64,
}

impl FileRecorder {
    /// Nothing recorded. The session began `now`, which is `wall` on the calendar.
    pub(crate) fn new(file: SpoolFile, now: Instant, wall: SystemTime) -> Self {
        Self {
            recorder: Recorder::new(RecorderConfig::default(), now, wall),
            file,
            due: None,
            failure: None,
            summary: None,
            handed: 0,
        }
    }

    /// Tells the recorder of an event. What comes of it waits for [`drain`](Self::drain), which costs less for many.
    pub(crate) fn tell(&mut self, input: Input) {
        self.recorder.handle_input(input);
    }

    /// Moves what the recorder has to the file. What it asks the sender for goes to `ask_for_keyframe`.
    pub(crate) fn drain(&mut self, now: Instant, mut ask_for_keyframe: impl FnMut(TrackId, LayerId)) {
        loop {
            let result = match self.recorder.poll_output() {
                Output::Append(bytes) => {
                    self.handed += bytes.len() as u64;
                    self.file.append(bytes, now)
                }
                Output::Patch { offset, bytes } => {
                    self.handed += bytes.len() as u64;
                    self.file.patch(offset, bytes, now)
                }
                Output::Restart => self.file.restart(now),
                Output::Keyframe(track, layer, _) => {
                    ask_for_keyframe(track, layer);
                    Ok(())
                }
                Output::Finished(summary) => {
                    self.summary = Some(summary);
                    Ok(())
                }
                Output::Timeout(due) => {
                    self.due = due;
                    self.file.note_final(self.recorder.final_bytes(), now);
                    self.file.note_recorded(self.recorder.position().to_duration());
                    return;
                }
            };
            self.note(result);
        }
    }

    /// Looks whether the disk still takes what it is given.
    pub(crate) fn check(&mut self, now: Instant) {
        let result = self.file.check(now);
        self.note(result);
    }

    /// What the last inputs did to the file, for the state machine of the session; nothing once that is over.
    pub(crate) fn outcome(&self, session_id: SessionId, state: State) -> Option<Event> {
        if !state.is_live() {
            return None;
        }
        let Some(failure) = self.failure else { return Some(Event::Grown(self.file.appended())) };
        warn!(%session_id, ?failure, "the spool takes no more of the session");
        Some(Event::SpoolFailed(failure))
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.recorder.is_paused()
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.recorder.statistics()
    }

    pub(crate) fn handed(&self) -> u64 {
        self.handed
    }

    /// The recorder can't be trusted: what it says of the file is not used.
    pub(crate) fn distrust(&mut self) {
        self.summary = None;
    }

    /// Takes it apart for the seal.
    pub(crate) fn finish(self) -> (Arc<Queue>, oneshot::Receiver<WriteOutcome>, Option<RecordingSummary>) {
        let (queue, written) = self.file.finish();
        (queue, written, self.summary)
    }

    fn note(&mut self, result: Result<(), SpoolFailure>) {
        if let Err(failure) = result {
            self.failure.get_or_insert(failure);
        }
    }
}
