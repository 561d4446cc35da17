//! Pause and resume: where on the session's clock the cut begins and ends.

use std::time::Instant;

use super::{Phase, Recorder};
use crate::{
    time::{LocalNanos, nanos_between},
    track::Rounding,
};

impl Recorder {
    /// Nothing that was captured before waits any longer to be placed: what waits could not be told from what comes.
    pub(super) fn pause(&mut self, at: Instant) {
        let now = self.advance(at);
        if self.is_paused() {
            return;
        }
        if self.phase == Phase::Settling {
            self.settle();
        }
        self.place_late_tracks(true);
        if self.phase == Phase::Running {
            let asked = self.clock(now);
            let edge = self.boundary(self.shared.pauses.due_begin(asked), Rounding::Up);
            self.shared.pauses.begin(asked, edge);
        } else {
            self.shared.pauses.begin_before_all();
        }
        self.write_ready();
    }

    pub(super) fn resume(&mut self, at: Instant) {
        let now = self.advance(at);
        let asked = self.clock(now);
        let edge = self.boundary(self.shared.pauses.due_end(asked), Rounding::Nearest);
        self.shared.pauses.end(asked, edge, now);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.resume();
            }
            self.ask_for_keyframe(index);
        }
    }

    /// The session's clock. Frames that bring their times along have a clock of their own, which stands where they end.
    fn clock(&self, now: Instant) -> LocalNanos {
        self.frames_end.unwrap_or_else(|| nanos_between(self.shared.started, now))
    }

    /// A moment where an audio frame ends: cut there, sound has neither a hole nor an overlap.
    fn boundary(&self, time: LocalNanos, rounding: Rounding) -> LocalNanos {
        if self.frames_end.is_some() {
            return time;
        }
        self.tracks.iter().find_map(|track| track.boundary(time, rounding)).unwrap_or(time)
    }
}
