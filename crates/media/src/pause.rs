//! What pauses cut out of the session's clock, so that the file's time stands still in them.
//!
//! The method and what it was chosen over: `docs/time.md`, "Pauses".

use std::{collections::VecDeque, time::Instant};

use crate::time::LocalNanos;

/// Frames older than this many pauses do not come: of earlier ones only the length is kept.
const KEPT: usize = 64;

/// A pause that is over.
#[derive(Debug, Clone, Copy)]
struct Cut {
    from: LocalNanos,
    to: LocalNanos,
}

/// The pauses of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pauses {
    /// In the order of time.
    cuts: VecDeque<Cut>,
    /// The length of those before the first in the list.
    forgotten: i64,
    /// The length of all.
    total: i64,
    /// By how much they were longer than what was cut out, as cuts end where frames do.
    owed: i64,
    /// What is under way; [`Before`](Since::Before) if the recording has no origin yet.
    since: Option<Since>,
    /// When the last one was ended.
    resumed: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Since {
    /// Nothing had been recorded: there is nothing to cut out, frames are just not taken.
    Before,
    At {
        /// Where the cut begins.
        edge: LocalNanos,
        /// When the pause was asked for.
        asked: LocalNanos,
    },
}

impl Pauses {
    pub(crate) fn is_paused(&self) -> bool {
        self.since.is_some()
    }

    /// Nothing was recorded before the pause that is under way: frames that arrive are not even held back.
    pub(crate) fn refuses_all(&self) -> bool {
        matches!(self.since, Some(Since::Before))
    }

    /// A pause begins before the recording has an origin.
    pub(crate) fn begin_before_all(&mut self) {
        self.since.get_or_insert(Since::Before);
    }

    /// A pause begins that was `asked` for at one point of the session's clock and cuts from another.
    pub(crate) fn begin(&mut self, asked: LocalNanos, edge: LocalNanos) {
        // Rounded edges must not run backwards.
        let edge = self.cuts.back().map_or(edge, |cut| edge.max(cut.to));
        self.since.get_or_insert(Since::At { edge, asked });
    }

    /// Where the next cut should begin, so that what earlier ones took too much is given back.
    pub(crate) fn due_begin(&self, asked: LocalNanos) -> LocalNanos {
        asked.saturating_sub(self.owed.min(0))
    }

    /// Where the cut would end if frames had no length, so that all cuts together are as long as all pauses.
    pub(crate) fn due_end(&self, asked: LocalNanos) -> LocalNanos {
        match self.since {
            Some(Since::At { edge, asked: since }) => {
                edge.saturating_add(asked.saturating_sub(since)).saturating_add(self.owed)
            }
            _ => asked,
        }
    }

    /// The pause ends: `asked` for at one point of the session's clock, cut to another. `now` is when.
    pub(crate) fn end(&mut self, asked: LocalNanos, edge: LocalNanos, now: Instant) {
        let Some(since) = self.since.take() else { return };
        self.resumed = Some(now);
        let Since::At { edge: from, asked: since } = since else { return };
        let to = edge.max(from);
        self.owed = self.owed.saturating_add(asked.saturating_sub(since)).saturating_sub(to - from);
        self.total = self.total.saturating_add(to - from);
        self.cuts.push_back(Cut { from, to });
        if self.cuts.len() > KEPT
            && let Some(oldest) = self.cuts.pop_front()
        {
            self.forgotten = self.forgotten.saturating_add(oldest.to - oldest.from);
        }
    }

    /// How much later a moment is on the session's clock than in the file. None if it lies in a pause.
    pub(crate) fn shift(&self, time: LocalNanos) -> Option<i64> {
        if let Some(Since::At { edge, .. }) = self.since
            && time >= edge
        {
            return None;
        }
        // Nearly always it is after them all.
        if self.cuts.back().is_none_or(|cut| time >= cut.to) {
            return Some(self.total);
        }
        let mut shift = self.forgotten;
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

    /// Where the newest pause ended, for a frame that arrived after its end. None while one is under way.
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
    fn what_lies_in_a_pause_is_nowhere_and_what_comes_after_moves_up() {
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
    fn what_rounding_took_from_one_cut_is_given_to_the_next() {
        let mut pauses = pauses(&[]);
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
        let now = Instant::now();
        pauses.begin(100, 110);
        assert_eq!(pauses.due_end(200), 210);
        pauses.end(200, 203, now);
        pauses.begin(300, 300);
        assert_eq!(pauses.due_end(400), 407);
    }

    #[test]
    fn thousands_of_pauses_take_no_more_room_than_a_few() {
        let spans: Vec<_> = (0..5_000).map(|index| (index * 100, index * 100 + 10)).collect();
        let pauses = pauses(&spans);
        assert_eq!(pauses.cuts.len(), KEPT);
        assert_eq!(pauses.shift(5_000 * 100), Some(50_000));
        assert_eq!(pauses.shift(4_999 * 100 - 1), Some(49_990));
    }
}
