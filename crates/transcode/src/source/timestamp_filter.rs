//! Filters damaged timestamps of an open file, whose later packets aren't known yet.

use std::collections::VecDeque;

use ffmpeg_next as ff;

use super::runs::{PATIENCE, RUN_GAP, UNCONFIRMED_JUMP};
use crate::time::Time;

/// The most packets that are held back. Audio tracks have fewer within `PATIENCE`.
const MAX_HELD: usize = 10_000;

/// Holds back packets that jump ahead in time. The packets behind them show whether the jump is a gap in the audio or a
/// damaged timestamp. Without the filter, a damaged timestamp would become hours of silence.
#[derive(Default)]
pub(super) struct TimestampFilter {
    /// The latest accepted time.
    position: Time,
    held: VecDeque<(Time, ff::Packet)>,
    /// Accepted, and not yet taken by [`pop`](Self::pop).
    passed: VecDeque<(Time, ff::Packet)>,
}

impl TimestampFilter {
    /// Adds the next packet of the file and its time.
    pub(super) fn push(&mut self, time: Time, packet: ff::Packet) {
        if let Some((jump, _)) = self.held.front() {
            // A packet that continues where the jump began disproves the jump.
            if time + RUN_GAP < *jump && time + RUN_GAP >= self.position {
                let skipped = self.held.len();
                tracing::debug!(
                    track = packet.stream(),
                    pts = jump.seconds(),
                    skipped,
                    "damaged timestamp: packets skipped"
                );
                self.held.clear();
            } else {
                let confirmed = time - *jump >= PATIENCE || self.held.len() >= MAX_HELD;
                self.held.push_back((time, packet));
                if confirmed {
                    self.accept();
                }
                return;
            }
        }
        if time <= self.position + RUN_GAP {
            self.position = self.position.max(time);
            self.passed.push_back((time, packet));
        } else {
            self.held.push_back((time, packet));
        }
    }

    /// Accepts the held packets at the end of the file. `None` if they lie so far ahead that only the whole file can confirm
    /// them.
    pub(super) fn end(&mut self) -> Option<()> {
        if self.held.front().is_some_and(|(jump, _)| *jump - self.position >= UNCONFIRMED_JUMP) {
            return None;
        }
        self.accept();
        Some(())
    }

    fn accept(&mut self) {
        self.position = self.held.iter().map(|(time, _)| *time).fold(self.position, Time::max);
        self.passed.append(&mut self.held);
    }

    /// The next accepted packet.
    pub(super) fn pop(&mut self) -> Option<(Time, ff::Packet)> {
        self.passed.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(seconds: &[i64]) -> (Vec<f64>, Vec<f64>) {
        let mut filter = TimestampFilter::default();
        for second in seconds {
            filter.push(Time::from_millis(second * 1_000), ff::Packet::empty());
        }
        let times = |filter: &mut TimestampFilter| {
            std::iter::from_fn(|| filter.pop()).map(|(time, _)| time.seconds()).collect()
        };
        let live = times(&mut filter);
        filter.accept();
        (live, times(&mut filter))
    }

    #[test]
    fn a_jump_is_accepted_when_it_continues_or_the_file_ends() {
        assert_eq!(passed(&[0, 1, 2]), (vec![0.0, 1.0, 2.0], vec![]));
        assert_eq!(passed(&[0, 60, 61, 62]), (vec![0.0], vec![60.0, 61.0, 62.0]));
        assert_eq!(passed(&[0, 60, 62, 64, 66]), (vec![0.0, 60.0, 62.0, 64.0, 66.0], vec![]));
        assert_eq!(passed(&[60, 61]), (vec![], vec![60.0, 61.0]));
    }

    #[test]
    fn packets_of_a_jump_that_is_disproved_are_dropped() {
        assert_eq!(passed(&[0, 1, 9_000, 9_001, 2, 3]), (vec![0.0, 1.0, 2.0, 3.0], vec![]));
        assert_eq!(passed(&[9_000, 1, 2]), (vec![1.0, 2.0], vec![]));
        // One track jumps, the others continue.
        assert_eq!(passed(&[1, 9_000, 1, 2, 9_000, 2]), (vec![1.0, 1.0, 2.0, 2.0], vec![]));
    }
}
