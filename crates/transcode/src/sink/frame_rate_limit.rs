//! No more pictures a second than were asked for.

use crate::time::Time;

/// Takes pictures at a rate on average: one that comes up to half a period early is taken, so that a track which is no
/// faster loses none to the unevenness of its times.
pub(super) struct FrameRateLimit {
    period: Time,
    half: Time,
    due: Option<Time>,
}

impl FrameRateLimit {
    /// At most so many a second.
    pub(super) fn new(rate: u32) -> Self {
        let seconds = 1.0 / f64::from(rate.max(1));
        Self { period: Time::from_seconds(seconds), half: Time::from_seconds(seconds / 2.0), due: None }
    }

    pub(super) fn takes(&self, time: Time) -> bool {
        self.due.is_none_or(|due| time + self.half >= due)
    }

    /// A picture of this time was taken.
    pub(super) fn took(&mut self, time: Time) {
        let due = self.due.map_or(time, |due| due.max(time - self.half));
        self.due = Some(due + self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_an_average_that_unevenness_doesnt_lower() {
        for (rate, every_ms, jitter, least, most) in [
            (30, 33.333_f32, 0, 301, 301),
            (30, 33.333, 16, 300, 301),
            (30, 16.667, 3, 298, 302),
            (10, 33.333, 9, 99, 102),
            (60, 33.333, 9, 301, 301),
            (1, 3_000.0, 500, 4, 4),
        ] {
            let mut frame_rate_limit = FrameRateLimit::new(rate);
            let mut taken = 0;
            for number in 0..(10_000.0 / f64::from(every_ms)).ceil() as i64 {
                let time = Time::from_millis(
                    (number as f64 * f64::from(every_ms)).round() as i64 + number * 7 % (jitter + 1),
                );
                if frame_rate_limit.takes(time) {
                    frame_rate_limit.took(time);
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
