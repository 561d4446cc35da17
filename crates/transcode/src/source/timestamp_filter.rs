//! Damaged timestamps in a file that still grows, where what follows isn't known yet.

use std::collections::VecDeque;

use ffmpeg_next as ff;

use super::runs::{DOUBTFUL, PATIENCE, RUN_GAP};
use crate::time::Time;

/// More than tracks of sound have packets meanwhile.
const MAX_HELD: usize = 10_000;

/// Holds packets back that jump ahead, until those behind them tell whether that is a hole in the sound or a damaged
/// timestamp. Believed at once, a damaged one would become hours of silence.
#[derive(Default)]
pub(super) struct TimestampFilter {
    /// The latest time that is believed.
    position: Time,
    held: VecDeque<(Time, ff::Packet)>,
    /// Believed, and not yet asked for.
    passed: VecDeque<(Time, ff::Packet)>,
}

impl TimestampFilter {
    /// Takes the next packet of the file and its time.
    pub(super) fn push(&mut self, time: Time, packet: ff::Packet) {
        if let Some((jump, _)) = self.held.front() {
            // What goes on where the jump began takes it back.
            if time + RUN_GAP < *jump && time + RUN_GAP >= self.position {
                self.held.clear();
            } else {
                let believed = time - *jump >= PATIENCE || self.held.len() >= MAX_HELD;
                self.held.push_back((time, packet));
                if believed {
                    self.believe();
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

    /// Believes what is held back, as nothing more comes; `None` if it lies so far ahead that something should confirm
    /// it, for which the whole file is to be looked at.
    pub(super) fn end(&mut self) -> Option<()> {
        if self.held.front().is_some_and(|(jump, _)| *jump - self.position >= DOUBTFUL) {
            return None;
        }
        self.believe();
        Some(())
    }

    fn believe(&mut self) {
        self.position = self.held.iter().map(|(time, _)| *time).fold(self.position, Time::max);
        self.passed.append(&mut self.held);
    }

    /// The next packet that is believed.
    pub(super) fn pop(&mut self) -> Option<(Time, ff::Packet)> {
        self.passed.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(seconds: &[i64]) -> (Vec<f64>, Vec<f64>) {
        let mut doubt = TimestampFilter::default();
        for second in seconds {
            doubt.push(Time::from_millis(second * 1_000), ff::Packet::empty());
        }
        let times = |doubt: &mut TimestampFilter| {
            std::iter::from_fn(|| doubt.pop()).map(|(time, _)| time.seconds()).collect()
        };
        let live = times(&mut doubt);
        doubt.believe();
        (live, times(&mut doubt))
    }

    #[test]
    fn a_jump_is_believed_once_it_goes_on_or_the_file_ends() {
        assert_eq!(passed(&[0, 1, 2]), (vec![0.0, 1.0, 2.0], vec![]));
        assert_eq!(passed(&[0, 60, 61, 62]), (vec![0.0], vec![60.0, 61.0, 62.0]));
        assert_eq!(passed(&[0, 60, 62, 64, 66]), (vec![0.0, 60.0, 62.0, 64.0, 66.0], vec![]));
        assert_eq!(passed(&[60, 61]), (vec![], vec![60.0, 61.0]));
    }

    #[test]
    fn a_jump_that_is_taken_back_never_was() {
        assert_eq!(passed(&[0, 1, 9_000, 9_001, 2, 3]), (vec![0.0, 1.0, 2.0, 3.0], vec![]));
        assert_eq!(passed(&[9_000, 1, 2]), (vec![1.0, 2.0], vec![]));
        // Other tracks go on while one jumps.
        assert_eq!(passed(&[1, 9_000, 1, 2, 9_000, 2]), (vec![1.0, 1.0, 2.0, 2.0], vec![]));
    }
}
