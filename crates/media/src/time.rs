//! Unwraps sequence numbers and RTP timestamps, and represents instants as integers.

use std::time::{Duration, Instant};

use rtp::{RtpTimestamp, SeqNo};

/// An RTP timestamp extended past 2³², in ticks of the format's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RtpTicks(pub i64);

/// Nanoseconds from the start of the session, on the recorder's monotonic clock.
pub(crate) type LocalNanos = i64;

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub(crate) const MILLISECOND: i64 = 1_000_000;

/// Extends 16-bit sequence numbers: each is the number nearest to the newest one.
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

    /// The source restarted its numbers: this one counts as later than all before.
    pub(crate) fn restart(&mut self, sequence_number: u16) -> SeqNo {
        let lap = self.newest.map_or(1, |newest| (newest.0 >> 16) + 2);
        let seq = SeqNo((lap << 16) | u64::from(sequence_number));
        self.newest = Some(seq);
        seq
    }
}

/// Extends 32-bit timestamps: each is the timestamp nearest to the one before.
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

    /// As [`unwrap`](Self::unwrap), but later timestamps are not compared with this one. For sender reports, whose instant
    /// may be another.
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

/// A duration in nanoseconds, at most `i64::MAX`.
pub(crate) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_continue_past_the_wrap_and_may_step_back() {
        let mut unwrapper = SeqUnwrapper::default();
        let base = unwrapper.unwrap(65_534).0;
        for (number, offset) in [(65_535, 1), (0, 2), (65_533, -1), (1, 3), (3, 5), (2, 4)] {
            assert_eq!(unwrapper.unwrap(number).0.cast_signed() - base.cast_signed(), offset, "{number}");
        }
    }

    #[test]
    fn the_first_number_may_be_preceded_by_half_a_cycle() {
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
    fn timestamps_continue_past_the_wrap_in_both_directions() {
        let mut unwrapper = TicksUnwrapper::default();
        let base = unwrapper.unwrap(RtpTimestamp(u32::MAX - 1)).0;
        for (timestamp, offset) in [(u32::MAX, 1), (0, 2), (2_999, 3_001), (u32::MAX, 1)] {
            assert_eq!(unwrapper.unwrap(RtpTimestamp(timestamp)).0 - base, offset, "{timestamp}");
        }
    }

    #[test]
    fn the_timestamp_of_a_report_changes_nothing() {
        let mut unwrapper = TicksUnwrapper::default();
        assert_eq!(unwrapper.unwrap(RtpTimestamp(10)), RtpTicks(10));
        assert_eq!(unwrapper.nearest(RtpTimestamp(u32::MAX)), RtpTicks(-1));
        assert_eq!(unwrapper.unwrap(RtpTimestamp(12)), RtpTicks(12));
    }
}
