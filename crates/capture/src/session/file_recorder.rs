//! A session's recorder and its open file.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use media::{Input, Output, Recorder, RecorderConfig, RecordingSummary, Statistics};
use rtp::{LayerId, TrackId};
use spool::{Queue, SpoolFailure, SpoolFile, WriteOutcome};
use tokio::sync::oneshot;

/// Executes the recorder's outputs on an open file of the spool. After a failure of the disk nothing more is written: a
/// file has no hole.
pub(crate) struct FileRecorder {
    recorder: Recorder,
    file: SpoolFile,
    /// When the recorder's own timer is due.
    due: Option<Instant>,
    failure: Option<SpoolFailure>,
    summary: Option<RecordingSummary>,
}

impl FileRecorder {
    /// An empty recording. The session began at `now`, which is `wall` by the wall clock.
    pub(crate) fn new(file: SpoolFile, now: Instant, wall: SystemTime) -> Self {
        let recorder = Recorder::new(RecorderConfig::default(), now, wall);
        Self { recorder, file, due: None, failure: None, summary: None }
    }

    /// Gives the recorder an input. Its outputs wait for [`drain`](Self::drain): one call for many inputs costs less.
    pub(crate) fn push(&mut self, input: Input) {
        self.recorder.handle_input(input);
    }

    /// Executes the recorder's outputs. Requests for a keyframe go to `request_keyframe`.
    pub(crate) fn drain(&mut self, now: Instant, mut request_keyframe: impl FnMut(TrackId, LayerId)) {
        loop {
            let result = match self.recorder.poll_output() {
                Output::Append(bytes) => self.file.append(bytes, now),
                Output::Patch { offset, bytes } => self.file.patch(offset, bytes, now),
                Output::Restart => self.file.restart(now),
                Output::Keyframe(track, layer, _) => {
                    request_keyframe(track, layer);
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
            self.note_failure(result);
        }
    }

    /// Checks whether the disk keeps up.
    pub(crate) fn check_disk(&mut self, now: Instant) {
        let result = self.file.check(now);
        self.note_failure(result);
    }

    /// Why the file takes no more; none while it does.
    pub(crate) fn failure(&self) -> Option<SpoolFailure> {
        self.failure
    }

    /// Bytes appended to the file, written or not.
    pub(crate) fn appended(&self) -> u64 {
        self.file.appended()
    }

    /// Bytes that wait for the disk.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.file.waiting_bytes()
    }

    /// Returns after the next write to the disk. Cancel safe.
    pub(crate) async fn disk_progressed(&self) {
        self.file.progressed().await;
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

    /// Discards the recorder's summary of the file: after a panic it can't be trusted.
    pub(crate) fn distrust(&mut self) {
        self.summary = None;
    }

    /// Ends the writing, and takes it apart for the finalization.
    pub(crate) fn finish(self) -> (Arc<Queue>, oneshot::Receiver<WriteOutcome>, Option<RecordingSummary>) {
        let (queue, written) = self.file.finish();
        (queue, written, self.summary)
    }

    fn note_failure(&mut self, result: Result<(), SpoolFailure>) {
        if let Err(failure) = result {
            self.failure.get_or_insert(failure);
        }
    }
}
