//! Pauses, which are cut out of the session's clock: the file's time stands still in them.
//!
//! The method and its alternatives: `docs/time.md`, "Pauses".

use std::{collections::VecDeque, time::Instant};

use crate::time::LocalNanos;

/// The newest pauses are stored with their edges, the others as a sum: no frame arrives so many pauses late.
const STORED: usize = 64;

/// The span that a past pause cuts out.
#[derive(Debug, Clone, Copy)]
struct Cut {
    from: LocalNanos,
    to: LocalNanos,
}

/// The pauses of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pauses {
    /// The newest ones, in order.
    cuts: VecDeque<Cut>,
    /// The length of the cuts before the first of `cuts`.
    older: i64,
    /// The length of all cuts.
    total: i64,
    /// The length of all pauses less that of all cuts. They differ as cuts begin and end with frames.
    uncut: i64,
    /// The present pause.
    present: Option<Present>,
    /// When the newest past pause ended.
    resumed: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Present {
    /// It began before the first frame. Frames are dropped, and nothing needs to be cut out.
    BeforeMedia,
    Since {
        /// Where the cut begins.
        edge: LocalNanos,
        /// When the pause was requested.
        requested: LocalNanos,
    },
}

impl Pauses {
    pub(crate) fn is_paused(&self) -> bool {
        self.present.is_some()
    }

    /// Whether the present pause began before the first frame. Frames that arrive now are dropped.
    pub(crate) fn precede_all_media(&self) -> bool {
        matches!(self.present, Some(Present::BeforeMedia))
    }

    /// A pause begins before the first frame.
    pub(crate) fn begin_before_media(&mut self) {
        self.present.get_or_insert(Present::BeforeMedia);
    }

    /// A pause begins. It was requested at one time of the session's clock, and cuts from `edge` on.
    pub(crate) fn begin(&mut self, requested: LocalNanos, edge: LocalNanos) {
        // Rounded edges must not run backwards.
        let edge = self.cuts.back().map_or(edge, |cut| edge.max(cut.to));
        self.present.get_or_insert(Present::Since { edge, requested });
    }

    /// Where the next cut should begin: later than requested by what earlier cuts were too long.
    pub(crate) fn begin_target(&self, requested: LocalNanos) -> LocalNanos {
        requested.saturating_sub(self.uncut.min(0))
    }

    /// Where the present cut should end so that all cuts together are as long as all pauses.
    pub(crate) fn end_target(&self, requested: LocalNanos) -> LocalNanos {
        match self.present {
            Some(Present::Since { edge, requested: since }) => {
                edge.saturating_add(requested.saturating_sub(since)).saturating_add(self.uncut)
            }
            _ => requested,
        }
    }

    /// The present pause ends. The end was requested at one time of the session's clock, and the cut ends at `edge`. `now` is
    /// the same instant as `requested`, by arrival. Without a pause nothing changes.
    pub(crate) fn end(&mut self, requested: LocalNanos, edge: LocalNanos, now: Instant) {
        let Some(present) = self.present.take() else { return };
        self.resumed = Some(now);
        let Present::Since { edge: from, requested: since } = present else { return };
        let to = edge.max(from);
        self.uncut = self.uncut.saturating_add(requested.saturating_sub(since)).saturating_sub(to - from);
        self.total = self.total.saturating_add(to - from);
        self.cuts.push_back(Cut { from, to });
        if self.cuts.len() > STORED
            && let Some(oldest) = self.cuts.pop_front()
        {
            self.older = self.older.saturating_add(oldest.to - oldest.from);
        }
    }

    /// How much later an instant is on the session's clock than in the file, in nanoseconds. None in a pause.
    pub(crate) fn shift(&self, time: LocalNanos) -> Option<i64> {
        if let Some(Present::Since { edge, .. }) = self.present
            && time >= edge
        {
            return None;
        }
        // Nearly every frame is after all of them.
        if self.cuts.back().is_none_or(|cut| time >= cut.to) {
            return Some(self.total);
        }
        let mut shift = self.older;
        for cut in &self.cuts {
            if time < cut.from {
                break;
            }
            if time < cut.to {
                return None;
            }
            shift = shift.saturating_add(cut.to - cut.from);
        }
        Some(shift)
    }

    /// Where the newest cut ends, for a frame that arrived after its end. None in a pause.
    pub(crate) fn resumed_before(&self, arrival: Instant) -> Option<LocalNanos> {
        let resumed = !self.is_paused() && self.resumed.is_some_and(|resumed| arrival >= resumed);
        resumed.then(|| self.cuts.back().map_or(LocalNanos::MIN, |cut| cut.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(spans: &[(i64, i64)]) -> Pauses {
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
        let now = Instant::now();
        let mut pauses = Pauses::default();
        for (from, to) in spans {
            pauses.begin(*from, *from);
            pauses.end(*to, *to, now);
        }
        pauses
    }

    #[test]
    fn a_time_in_a_pause_has_no_position_and_later_times_move_up() {
        let mut pauses = pauses(&[(100, 150), (300, 400)]);
        for (time, shift) in [
            (0, Some(0)),
            (99, Some(0)),
            (100, None),
            (149, None),
            (150, Some(50)),
            (299, Some(50)),
            (399, None),
            (400, Some(150)),
        ] {
            assert_eq!(pauses.shift(time), shift, "{time}");
        }
        pauses.begin(500, 500);
        assert_eq!((pauses.shift(499), pauses.shift(500)), (Some(150), None));
    }

    #[test]
    fn a_second_begin_or_end_changes_nothing() {
        let mut pauses = pauses(&[(100, 150)]);
        let now = pauses.resumed.unwrap();
        pauses.end(170, 170, now);
        pauses.begin(200, 200);
        pauses.begin(220, 220);
        assert_eq!(pauses.shift(210), None);
        pauses.end(230, 230, now);
        assert_eq!(pauses.shift(230), Some(80));
    }

    #[test]
    fn a_cut_that_was_rounded_up_shortens_the_next() {
        let mut pauses = pauses(&[]);
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
        let now = Instant::now();
        pauses.begin(100, 110);
        assert_eq!(pauses.end_target(200), 210);
        pauses.end(200, 203, now);
        pauses.begin(300, 300);
        assert_eq!(pauses.end_target(400), 407);
    }

    #[test]
    fn thousands_of_pauses_take_no_more_memory_than_a_few() {
        let spans: Vec<_> = (0..5_000).map(|index| (index * 100, index * 100 + 10)).collect();
        let pauses = pauses(&spans);
        assert_eq!(pauses.cuts.len(), STORED);
        assert_eq!(pauses.shift(5_000 * 100), Some(50_000));
        assert_eq!(pauses.shift(4_999 * 100 - 1), Some(49_990));
    }
}
