//! Tracks of sound, mixed and coded.

use super::lane::Lane;
use crate::{
    TranscodeError,
    sink::{Mux, SoundEncoder, SoundSpec},
    sound::Mixer,
    source::{Demux, SoundSource, Track},
    time::Time,
};

/// Decoders and resamplers hold less than this; what is older has arrived.
const HELD: Time = Time::from_millis(200);

/// Tracks of sound on one timeline.
pub(super) struct Mix {
    sources: Vec<SoundSource>,
    mixer: Mixer,
    rate: u32,
    channels: usize,
    /// Where the last track ends.
    end: Time,
}

impl Mix {
    /// Of `tracks`, at `rate`; into `channels`, or as many as the tracks have, at most two.
    pub(super) fn open(tracks: &[&Track], rate: u32, channels: Option<u8>) -> Result<Self, TranscodeError> {
        let mut sources = Vec::new();
        let mut refused = None;
        for track in tracks {
            match SoundSource::open(track, rate) {
                Ok(source) => sources.push(source),
                Err(error) => refused = Some(error),
            }
        }
        // One track of an unknown codec must not silence the others.
        if let (true, Some(error)) = (sources.is_empty(), refused) {
            return Err(error);
        }
        let most = sources.iter().map(SoundSource::channels).max().unwrap_or(1);
        let channels = channels.map_or(most, usize::from);
        let end = tracks.iter().map(|track| track.end()).max().unwrap_or_default();
        Ok(Self { mixer: Mixer::new(sources.len(), channels, rate), sources, rate, channels, end })
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Whether it would have another rate or number of channels if it were of `tracks` alone, as `spec` says.
    pub(super) fn is_shaped_by_others(&self, tracks: &[&Track], spec: &SoundSpec) -> bool {
        let alone = Self::open(tracks, spec.sample_rate, spec.channels);
        alone.is_ok_and(|alone| (alone.rate, alone.channels) != (self.rate, self.channels))
    }

    /// Whether anything could be decoded.
    pub(super) fn heard(&self) -> bool {
        self.mixer.heard()
    }

    /// Interleaved samples that follow those before, up to about `until`.
    pub(super) fn advance(&mut self, demux: &mut Demux<'_>, until: Time) -> Result<Vec<f32>, TranscodeError> {
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

    /// The rest.
    pub(super) fn finish(&mut self) -> Result<Vec<f32>, TranscodeError> {
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
    mix: Mix,
    encoder: SoundEncoder,
}

impl SoundLane {
    pub(super) fn open(
        tracks: &[&Track],
        spec: &SoundSpec,
        mux: &mut Mux<'_>,
    ) -> Result<Self, TranscodeError> {
        let mix = Mix::open(tracks, spec.sample_rate, spec.channels)?;
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
