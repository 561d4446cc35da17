//! Mixes and encodes audio tracks.

use super::lane::Lane;
use crate::{
    TranscodeError,
    sink::{Mux, SoundEncoder, SoundSpec},
    sound::Mixer,
    source::{Demux, SoundSource, Track},
    time::Time,
};

/// The most that decoders and resamplers hold back. Older audio is complete.
const HELD: Time = Time::from_millis(200);

/// Audio tracks, mixed on one timeline.
pub(crate) struct MixedTracks {
    sources: Vec<SoundSource>,
    mixer: Mixer,
    rate: u32,
    channels: usize,
    /// The end of the last track.
    end: Time,
}

impl MixedTracks {
    /// Mixes `tracks` at a sample rate. Without `channels`, the mix has as many as the tracks, at most two.
    pub(crate) fn open(tracks: &[&Track], rate: u32, channels: Option<u32>) -> Result<Self, TranscodeError> {
        let mut sources = Vec::new();
        let mut refused = None;
        for track in tracks {
            match SoundSource::open(track, rate) {
                Ok(source) => sources.push(source),
                Err(error) => refused = Some(error),
            }
        }
        // A track of an unknown codec must not silence the others.
        if let (true, Some(error)) = (sources.is_empty(), refused) {
            return Err(error);
        }
        let most = sources.iter().map(SoundSource::channels).max().unwrap_or(1);
        let channels = channels.map_or(most, |channels| channels as usize);
        let end = tracks.iter().map(|track| track.end()).max().unwrap_or_default();
        Ok(Self { mixer: Mixer::new(sources.len(), channels, rate), sources, rate, channels, end })
    }

    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Whether a mix of `tracks` alone, by `spec`, would have another sample rate or number of channels.
    pub(crate) fn depends_on_others(&self, tracks: &[&Track], spec: &SoundSpec) -> bool {
        let alone = Self::open(tracks, spec.sample_rate, spec.channels);
        alone.is_ok_and(|alone| (alone.rate, alone.channels) != (self.rate, self.channels))
    }

    /// Whether any audio could be decoded.
    pub(crate) fn heard(&self) -> bool {
        self.mixer.heard()
    }

    /// The next interleaved samples, up to about `until`.
    pub(crate) fn advance(&mut self, demux: &mut Demux<'_>, until: Time) -> Result<Vec<f32>, TranscodeError> {
        let Self { sources, mixer, .. } = self;
        for (track, source) in sources.iter_mut().enumerate() {
            let channels = source.channels();
            source.advance(demux, until, &mut |position, samples| {
                mixer.add(track, position, samples, channels);
                Ok(())
            })?;
        }
        Ok(mixer.take((until - HELD).min(self.end).to_samples(self.rate)))
    }

    /// The last samples.
    pub(crate) fn finish(&mut self) -> Result<Vec<f32>, TranscodeError> {
        let Self { sources, mixer, .. } = self;
        for (track, source) in sources.iter_mut().enumerate() {
            let channels = source.channels();
            source.finish(&mut |position, samples| {
                mixer.add(track, position, samples, channels);
                Ok(())
            })?;
        }
        Ok(mixer.take(mixer.end()))
    }
}

pub(super) struct SoundLane {
    mix: MixedTracks,
    encoder: SoundEncoder,
}

impl SoundLane {
    pub(super) fn open(
        tracks: &[&Track],
        spec: &SoundSpec,
        mux: &mut Mux<'_>,
    ) -> Result<Self, TranscodeError> {
        let mix = MixedTracks::open(tracks, spec.sample_rate, spec.channels)?;
        let encoder = SoundEncoder::open(spec, mix.channels(), mux)?;
        Ok(Self { mix, encoder })
    }
}

impl Lane for SoundLane {
    fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError> {
        self.encoder.push(&self.mix.advance(demux, until)?, mux)
    }

    fn finish(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        self.encoder.push(&self.mix.finish()?, mux)?;
        self.encoder.finish(mux)
    }
}
