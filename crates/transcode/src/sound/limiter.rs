//! Holding the sum of several speakers below full scale.

/// Turns the volume down at once when a sum would clip, and up again slowly.
pub(super) struct Limiter {
    channels: usize,
    gain: f32,
    /// By how much of the way to 1 the gain recovers with each sample.
    recovery: f32,
}

impl Limiter {
    pub(super) fn new(channels: usize, rate: u32) -> Self {
        /// Seconds after which two thirds of the volume are back.
        const RELEASE: f32 = 0.3;
        Self { channels, gain: 1.0, recovery: 1.0 / (RELEASE * rate as f32) }
    }

    /// On interleaved samples.
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
