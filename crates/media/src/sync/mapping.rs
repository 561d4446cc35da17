//! Maps a remote clock to the local one, by when the remote clock's readings arrive.

use crate::time::{LocalNanos, MILLISECOND, SECOND};

/// The least delay is taken over the last one to two buckets.
const BUCKET: i64 = 3 * SECOND;
/// An error up to this is jitter, and is not corrected.
const DEADBAND: i64 = 5 * MILLISECOND;
/// A larger error is corrected within about this time…
const CORRECT_WITHIN_SECONDS: i64 = 10;
/// …but at no more than this rate, in 10⁻⁹. Media clocks and computers are off by at most 500 ppm.
const MAX_RATE_PPB: i64 = 1_500_000;
/// The rate is applied for no longer than this past the last reading.
const RATE_HOLDS: i64 = 10 * SECOND;

/// Maps a remote clock to the local one by the least delay of its readings. Longer delays are queues on the path.
///
/// Until [`start_slewing`](Self::start_slewing) the mapping jumps to each reading with a smaller delay. From then on it
/// never jumps: its rate changes by at most [`MAX_RATE_PPB`], and only for errors above [`DEADBAND`].
#[derive(Debug, Clone)]
pub(super) struct ClockMapping {
    /// The remote time at which `delay` holds.
    reference: i64,
    /// Local minus remote time.
    delay: i64,
    rate_ppb: i64,
    slewing: bool,
    /// Least delay of the bucket before, and of the present one.
    least: (i64, i64),
    bucket_from: LocalNanos,
}

impl ClockMapping {
    pub(super) fn new(remote: i64, arrival: LocalNanos) -> Self {
        let delay = arrival.saturating_sub(remote);
        Self {
            reference: remote,
            delay,
            rate_ppb: 0,
            slewing: false,
            least: (delay, delay),
            bucket_from: arrival,
        }
    }

    pub(super) fn start_slewing(&mut self) {
        self.slewing = true;
    }

    pub(super) fn observe(&mut self, remote: i64, arrival: LocalNanos) {
        let delay = arrival.saturating_sub(remote);
        if !self.slewing && delay < self.delay {
            self.reference = remote;
            self.delay = delay;
        }
        self.least.1 = self.least.1.min(delay);
        if arrival.saturating_sub(self.bucket_from) >= BUCKET {
            if self.slewing {
                self.adjust(remote, self.least.0.min(self.least.1));
            }
            self.least = (self.least.1, delay);
            self.bucket_from = arrival;
        }
    }

    fn adjust(&mut self, remote: i64, least: i64) {
        self.delay = self.delay_at(remote);
        self.reference = remote;
        let error = least.saturating_sub(self.delay);
        self.rate_ppb = if error.saturating_abs() <= DEADBAND {
            0
        } else {
            (error / CORRECT_WITHIN_SECONDS).clamp(-MAX_RATE_PPB, MAX_RATE_PPB)
        };
    }

    fn delay_at(&self, remote: i64) -> i64 {
        if self.rate_ppb == 0 {
            return self.delay;
        }
        let span = remote.saturating_sub(self.reference).clamp(0, RATE_HOLDS);
        // In milliseconds first: 10⁴ ms × 1.5·10⁶ ppb stays far below 2⁶³.
        self.delay.saturating_add(span / MILLISECOND * self.rate_ppb / 1_000)
    }

    /// A remote time on the local clock.
    pub(super) fn to_local(&self, remote: i64) -> LocalNanos {
        remote.saturating_add(self.delay_at(remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_slewing_the_least_delay_counts() {
        let mut mapping = ClockMapping::new(0, 50 * MILLISECOND);
        mapping.observe(SECOND, SECOND + 20 * MILLISECOND);
        mapping.observe(2 * SECOND, 2 * SECOND + 90 * MILLISECOND);
        assert_eq!(mapping.to_local(0), 20 * MILLISECOND);
    }

    #[test]
    fn jitter_changes_nothing_once_slewing() {
        let mut mapping = ClockMapping::new(0, 10 * MILLISECOND);
        mapping.start_slewing();
        for i in 1..600_i64 {
            let jitter = (i * 7919 % 40) * MILLISECOND;
            mapping.observe(i * SECOND / 10, i * SECOND / 10 + 10 * MILLISECOND + jitter);
        }
        assert_eq!(mapping.to_local(SECOND), SECOND + 10 * MILLISECOND);
    }

    #[test]
    fn a_clock_500_ppm_off_is_followed_within_10_ms_for_4_hours() {
        for ppm in [-500, 500] {
            let mut mapping = ClockMapping::new(0, 0);
            mapping.start_slewing();
            let mut worst = 0;
            for second in 1..4 * 3600_i64 {
                let remote = second * SECOND;
                let local = remote + remote / 1_000_000 * ppm;
                mapping.observe(remote, local);
                worst = worst.max((mapping.to_local(remote) - local).abs());
            }
            assert!(worst <= 10 * MILLISECOND, "{ppm}: {worst} ns");
        }
    }

    #[test]
    fn a_rate_is_not_carried_through_a_long_silence() {
        let mut mapping = ClockMapping::new(0, 0);
        mapping.start_slewing();
        for second in 1..60_i64 {
            mapping.observe(second * SECOND, second * SECOND + second * SECOND / 2000);
        }
        let before = mapping.to_local(60 * SECOND) - 60 * SECOND;
        let after = mapping.to_local(7200 * SECOND) - 7200 * SECOND;
        assert!((after - before).abs() <= 15 * MILLISECOND, "{before} {after}");
    }
}
