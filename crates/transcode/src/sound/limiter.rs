//! Limits the sum of several tracks to full scale.

/// Lowers the gain at once when a sum would clip, and raises it slowly.
pub(super) struct Limiter {
    channels: usize,
    gain: f32,
    /// The fraction of the distance to 1 by which the gain recovers with each sample.
    recovery: f32,
}

impl Limiter {
    pub(super) fn new(channels: usize, rate: u32) -> Self {
        /// Seconds after which the gain has recovered by two thirds.
        const RELEASE: f32 = 0.3;
        Self { channels, gain: 1.0, recovery: 1.0 / (RELEASE * rate as f32) }
    }

    /// Changes interleaved samples.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        for moment in samples.chunks_exact_mut(self.channels) {
            let peak = moment.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            self.gain += (1.0 - self.gain) * self.recovery;
            if peak * self.gain > 1.0 {
                self.gain = 1.0 / peak;
            }
            moment.iter_mut().for_each(|sample| *sample *= self.gain);
        }
    }
}
