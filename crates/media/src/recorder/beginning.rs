//! How a recording and each of its tracks begin: held back until they can be placed, drafted meanwhile.

use super::{Phase, Recorder};
use crate::Output;

impl Recorder {
    pub(super) fn is_settled(&self) -> bool {
        let Some(first) = self.first_frame else { return false };
        self.now.saturating_duration_since(first) >= self.config.settle
            || self.tracks.iter().all(|track| track.ended || track.is_ready())
    }

    /// What is held back would be lost in a crash. So a draft of it goes to the file: what a finish just now would
    /// leave, a whole file by itself.
    pub(super) fn draft_if_due(&mut self) {
        if self.next_draft.is_none_or(|due| due > self.now) {
            return;
        }
        self.next_draft = Some(self.now + self.config.append_age);
        let mut draft = self.clone();
        draft.outputs.clear();
        draft.drafted = false;
        draft.finish(self.now);
        if draft.file.bytes() == 0 {
            return;
        }
        self.drafted = true;
        self.outputs.push_back(Output::Restart);
        let is_write = |output: &Output| matches!(output, Output::Append(_) | Output::Patch { .. });
        self.outputs.extend(draft.outputs.into_iter().filter(is_write));
    }

    /// Fixes the recording's origin and begins the file.
    pub(super) fn settle(&mut self) {
        let first = self.tracks.iter().filter_map(|track| track.first_time(&self.shared.senders)).min();
        let Some(origin) = first else { return };
        self.phase = Phase::Running;
        if std::mem::take(&mut self.drafted) {
            self.outputs.push_back(Output::Restart);
        }
        self.shared.senders.place();
        self.file.begin(origin, &self.config, self.now);
        for index in 0..self.tracks.len() {
            self.place(index);
        }
    }

    /// A track that joined later waits for its first sender report, though no longer than other tracks wait for it.
    pub(super) fn place_late_tracks(&mut self, at_once: bool) {
        for index in 0..self.tracks.len() {
            let Some(track) = self.tracks.get(index) else { return };
            let Some(since) = track.waiting_since() else { continue };
            let patience = self.config.interleave.min(self.config.settle);
            let waited = self.now.saturating_duration_since(since) >= patience;
            if at_once || waited || track.ended || track.is_ready() {
                self.place(index);
            }
        }
    }

    fn place(&mut self, index: usize) {
        let Some(track) = self.tracks.get_mut(index) else { return };
        if track.first_unplaced().is_none() {
            return;
        }
        track.place(&mut self.shared);
        self.file.declare_first(track, &mut self.outputs);
        self.take_frames(index);
    }
}
