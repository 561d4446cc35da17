//! Limits the frame rate.

use crate::time::Time;

/// Accepts frames up to an average rate. A frame is accepted up to half a period early, so that a track of at most this rate
/// loses no frame because its times are uneven.
pub(super) struct FrameRateLimit {
    period: Time,
    half: Time,
    due: Option<Time>,
}

impl FrameRateLimit {
    /// At most `rate` frames a second.
    pub(super) fn new(rate: u32) -> Self {
        let seconds = 1.0 / f64::from(rate.max(1));
        Self { period: Time::from_seconds(seconds), half: Time::from_seconds(seconds / 2.0), due: None }
    }

    pub(super) fn accepts(&self, time: Time) -> bool {
        self.due.is_none_or(|due| time + self.half >= due)
    }

    /// A frame of this time was encoded.
    pub(super) fn accepted(&mut self, time: Time) {
        let due = self.due.map_or(time, |due| due.max(time - self.half));
        self.due = Some(due + self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uneven_times_do_not_lower_the_average_rate() {
        for (rate, every_ms, jitter, least, most) in [
            (30, 33.333_f32, 0, 301, 301),
            (30, 33.333, 16, 300, 301),
            (30, 16.667, 3, 298, 302),
            (10, 33.333, 9, 99, 102),
            (60, 33.333, 9, 301, 301),
            (1, 3_000.0, 500, 4, 4),
        ] {
            let mut limit = FrameRateLimit::new(rate);
            let mut taken = 0;
            for number in 0..(10_000.0 / f64::from(every_ms)).ceil() as i64 {
                let time = Time::from_millis(
                    (number as f64 * f64::from(every_ms)).round() as i64 + number * 7 % (jitter + 1),
                );
                if limit.accepts(time) {
                    limit.accepted(time);
                    taken += 1;
                }
            }
            assert!(
                (least..=most).contains(&taken),
                "{taken} of {rate} a second, each {every_ms} ms ± {jitter}"
            );
        }
    }
}
