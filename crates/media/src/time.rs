//! Sequence numbers and RTP timestamps without their wraps, and instants as integers.

use std::time::{Duration, Instant};

use rtp::{RtpTimestamp, SeqNo};

/// An RTP timestamp counted on past 2³², in ticks of the format's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RtpTicks(pub i64);

/// Nanoseconds from the start of the session on the recorder's own clock.
pub(crate) type LocalNanos = i64;

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub(crate) const MILLISECOND: i64 = 1_000_000;

/// Extends 16-bit sequence numbers: each is taken as the one nearest to the newest seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeqUnwrapper {
    newest: Option<SeqNo>,
}

impl SeqUnwrapper {
    pub(crate) fn unwrap(&mut self, sequence_number: u16) -> SeqNo {
        let newest = *self.newest.get_or_insert(SeqNo::first(sequence_number));
        let seq = newest.nearest(sequence_number);
        self.newest = Some(newest.max(seq));
        seq
    }

    /// Forgets the past: the next number may be anything, and is greater than all before.
    pub(crate) fn restart(&mut self, sequence_number: u16) -> SeqNo {
        let lap = self.newest.map_or(1, |newest| (newest.0 >> 16) + 2);
        let seq = SeqNo((lap << 16) | u64::from(sequence_number));
        self.newest = Some(seq);
        seq
    }
}

/// Extends 32-bit timestamps: each is taken as the one nearest to the last.
#[derive(Debug, Clone, Default)]
pub(crate) struct TicksUnwrapper {
    last: Option<i64>,
}

impl TicksUnwrapper {
    pub(crate) fn unwrap(&mut self, timestamp: RtpTimestamp) -> RtpTicks {
        let ticks = self.nearest(timestamp);
        self.last = Some(ticks.0);
        ticks
    }

    /// As [`unwrap`](Self::unwrap), without moving on: for sender reports, which may speak of another moment.
    pub(crate) fn nearest(&self, timestamp: RtpTimestamp) -> RtpTicks {
        let Some(last) = self.last else { return RtpTicks(i64::from(timestamp.0)) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the low 32 bits are compared"
        )]
        let step = timestamp.ticks_since(RtpTimestamp(last as u32));
        RtpTicks(last.saturating_add(i64::from(step)))
    }
}

/// Nanoseconds from `from` to `to`, negative if `to` is earlier.
pub(crate) fn nanos_between(from: Instant, to: Instant) -> LocalNanos {
    let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    match to.checked_duration_since(from) {
        Some(span) => nanos(span),
        None => -nanos(from.duration_since(to)),
    }
}

/// A span as nanoseconds, at most `i64::MAX`.
pub(crate) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_go_on_past_the_wrap_and_take_small_steps_back() {
        let mut unwrapper = SeqUnwrapper::default();
        let base = unwrapper.unwrap(65_534).0;
        for (number, offset) in [(65_535, 1), (0, 2), (65_533, -1), (1, 3), (3, 5), (2, 4)] {
            assert_eq!(unwrapper.unwrap(number).0.cast_signed() - base.cast_signed(), offset, "{number}");
        }
    }

    #[test]
    fn the_first_number_may_be_overtaken_by_half_a_lap() {
        let mut unwrapper = SeqUnwrapper::default();
        let first = unwrapper.unwrap(0);
        assert_eq!(first.0 - unwrapper.unwrap(32_769).0, 32_767);
    }

    #[test]
    fn a_restart_is_later_than_all_before() {
        let mut unwrapper = SeqUnwrapper::default();
        let before = unwrapper.unwrap(40_000);
        assert!(unwrapper.restart(3) > before);
        let again = unwrapper.unwrap(4);
        assert_eq!(again.0 - unwrapper.unwrap(3).0, 1);
    }

    #[test]
    fn timestamps_go_on_past_the_wrap_both_ways() {
        let mut unwrapper = TicksUnwrapper::default();
        let base = unwrapper.unwrap(RtpTimestamp(u32::MAX - 1)).0;
        for (timestamp, offset) in [(u32::MAX, 1), (0, 2), (2_999, 3_001), (u32::MAX, 1)] {
            assert_eq!(unwrapper.unwrap(RtpTimestamp(timestamp)).0 - base, offset, "{timestamp}");
        }
    }

    #[test]
    fn a_look_at_another_timestamp_moves_nothing() {
        let mut unwrapper = TicksUnwrapper::default();
        assert_eq!(unwrapper.unwrap(RtpTimestamp(10)), RtpTicks(10));
        assert_eq!(unwrapper.nearest(RtpTimestamp(u32::MAX)), RtpTicks(-1));
        assert_eq!(unwrapper.unwrap(RtpTimestamp(12)), RtpTicks(12));
    }
}
