//! Mixes tracks on one timeline.

use std::collections::VecDeque;

use super::limiter::Limiter;

/// Adds the audio of several tracks, each at its position in time, and fills gaps with silence.
///
/// It holds the samples between those taken and the last one added. Audio of a time that was already taken is dropped.
pub(crate) struct Mixer {
    channels: usize,
    /// Index of the first sample in `held`.
    start: i64,
    /// Interleaved.
    held: VecDeque<f32>,
    /// Of each track: the index of its first sample.
    starts: Vec<i64>,
    /// Of each track: the index behind its last sample. Audio before it is dropped, not added twice.
    ends: Vec<i64>,
    limiter: Limiter,
}

impl Mixer {
    /// Mixes `tracks` tracks into 1 or 2 `channels`. The timeline begins at index 0.
    pub(crate) fn new(tracks: usize, channels: usize, rate: u32) -> Self {
        Self {
            channels,
            start: 0,
            held: VecDeque::new(),
            starts: vec![i64::MAX; tracks],
            ends: vec![i64::MIN; tracks],
            limiter: Limiter::new(channels, rate),
        }
    }

    /// Adds interleaved `samples` of 1 or 2 `channels`; `position` is the index of the first.
    pub(crate) fn add(&mut self, track: usize, position: i64, samples: &[f32], channels: usize) {
        let (Some(start), Some(end)) = (self.starts.get_mut(track), self.ends.get_mut(track)) else {
            debug_assert!(false, "the mixer was made for this number of tracks");
            return;
        };
        let count = (samples.len() / channels) as i64;
        let from = position.max(*end).max(self.start);
        *end = (*end).max(position + count);
        *start = (*start).min(from);
        let Ok(skip) = usize::try_from(from - position) else { return };
        let Some(samples) = samples.get(skip * channels..) else { return };
        let Ok(at) = usize::try_from(from - self.start) else { return };
        let at = at * self.channels;
        let needed = at + samples.len() / channels * self.channels;
        if self.held.len() < needed {
            self.held.resize(needed, 0.0);
        }
        let places = self.held.range_mut(at..needed);
        match (channels, self.channels) {
            (1, 2) => {
                let doubled = samples.iter().flat_map(|sample| [tame(*sample); 2]);
                places.zip(doubled).for_each(|(place, sample)| *place += sample);
            }
            (2, 1) => {
                let halved = samples.chunks_exact(2).map(|pair| (tame(pair[0]) + tame(pair[1])) / 2.0);
                places.zip(halved).for_each(|(place, sample)| *place += sample);
            }
            _ => places.zip(samples).for_each(|(place, sample)| *place += tame(*sample)),
        }
    }

    /// Takes all samples before index `until`, interleaved.
    pub(crate) fn take(&mut self, until: i64) -> Vec<f32> {
        let Ok(count) = usize::try_from(until - self.start) else { return Vec::new() };
        let length = count * self.channels;
        let present = length.min(self.held.len());
        let mut taken: Vec<f32> = self.held.drain(..present).collect();
        taken.resize(length, 0.0);
        // A single track is passed on unchanged.
        let alone = usize::try_from(self.second_start() - self.start).unwrap_or(0).min(count);
        self.limiter.apply(taken.get_mut(alone * self.channels..).unwrap_or_default());
        self.start = until.max(self.start);
        taken
    }

    /// The index at which a second track begins.
    fn second_start(&self) -> i64 {
        let (mut first, mut second) = (i64::MAX, i64::MAX);
        for start in &self.starts {
            (first, second) = (first.min(*start), second.min(first.max(*start)));
        }
        second
    }

    /// Whether any audio was added.
    pub(crate) fn heard(&self) -> bool {
        self.ends.iter().any(|end| *end > i64::MIN)
    }

    /// Where the sound that was added ends.
    pub(crate) fn end(&self) -> i64 {
        self.ends.iter().copied().max().unwrap_or(0).max(self.start)
    }
}

/// Replaces NaN by silence and limits the other values. A damaged packet can decode to any value, and an encoder that gets a
/// NaN refuses everything after it.
fn tame(sample: f32) -> f32 {
    /// Twelve decibels above full scale.
    const MOST: f32 = 4.0;
    if sample.is_nan() { 0.0 } else { sample.clamp(-MOST, MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_are_added_each_at_its_place() {
        let mut mixer = Mixer::new(2, 1, 48_000);
        mixer.add(0, 0, &[0.1, 0.1, 0.1], 1);
        mixer.add(1, 2, &[0.2, 0.2], 1);
        let mixed = mixer.take(5);
        let expected = [0.1, 0.1, 0.3, 0.2, 0.0];
        assert!(mixed.iter().zip(expected).all(|(have, want)| (have - want).abs() < 1e-6), "{mixed:?}");
        assert_eq!(mixed.len(), 5);
    }

    #[test]
    fn audio_that_overlaps_its_own_track_or_is_late_is_dropped() {
        let mut mixer = Mixer::new(1, 1, 48_000);
        mixer.add(0, -2, &[0.5, 0.5, 0.1, 0.2], 1);
        mixer.add(0, 1, &[0.9, 0.3], 1);
        assert_eq!(mixer.take(3), [0.1, 0.2, 0.3]);
        mixer.add(0, 1, &[0.9, 0.9, 0.4], 1);
        assert_eq!(mixer.take(4), [0.4]);
    }

    #[test]
    fn mono_plays_on_both_sides_and_stereo_is_averaged() {
        let mut stereo = Mixer::new(1, 2, 48_000);
        stereo.add(0, 0, &[0.5, 0.25], 1);
        assert_eq!(stereo.take(2), [0.5, 0.5, 0.25, 0.25]);
        let mut mono = Mixer::new(1, 1, 48_000);
        mono.add(0, 0, &[0.5, 0.25, 1.0, 0.0], 2);
        assert_eq!(mono.take(2), [0.375, 0.5]);
    }

    #[test]
    fn samples_that_are_not_numbers_become_silence() {
        let mut mixer = Mixer::new(2, 1, 48_000);
        mixer.add(0, 0, &[f32::NAN, f32::INFINITY, 0.5], 1);
        let mixed = mixer.take(3);
        assert!(mixed[0] == 0.0 && mixed[1].is_finite() && mixed[2].is_finite(), "{mixed:?}");
    }

    #[test]
    fn a_loud_track_is_unchanged_until_another_joins() {
        let mut mixer = Mixer::new(3, 1, 48_000);
        mixer.add(2, 0, &[1.5; 10], 1);
        mixer.add(0, 8, &[0.5; 2], 1);
        let mixed = mixer.take(10);
        assert_eq!(mixed[..8], [1.5; 8]);
        assert!(mixed[8..].iter().all(|sample| *sample <= 1.0), "{mixed:?}");
    }

    #[test]
    fn loud_tracks_together_stay_below_full_scale() {
        let mut mixer = Mixer::new(2, 1, 48_000);
        mixer.add(0, 0, &[0.9; 4_800], 1);
        mixer.add(1, 0, &[0.9; 4_800], 1);
        assert!(mixer.take(4_800).iter().all(|sample| sample.abs() <= 1.0));
    }
}
