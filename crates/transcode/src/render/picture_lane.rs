//! Encodes one video track.

use ffmpeg_next::{format::Pixel, frame};

use super::lane::Lane;
use crate::{
    TranscodeError, VideoOptions,
    picture::{Colour, Fit, inside},
    sink::{Mux, PictureEncoder, PictureSpec, Pictures},
    source::{Demux, Pace, PictureSource, Track},
    time::Time,
};

pub(super) struct PictureLane {
    source: PictureSource,
    fit: Fit,
    encoder: PictureEncoder,
}

impl PictureLane {
    /// Encodes `track` in `size`.
    pub(super) fn open(
        track: &Track,
        size: (u32, u32),
        colour: Colour,
        spec: &PictureSpec,
        mux: &mut Mux<'_>,
    ) -> Result<Self, TranscodeError> {
        Ok(Self {
            source: PictureSource::open(track, Pace::Fast)?,
            fit: Fit::new(size, track.rotation, Pixel::YUV420P),
            encoder: PictureEncoder::open(
                spec,
                Pictures { size, colour, usual_rate: track.frame_rate(), end: track.end() },
                mux,
            )?,
        })
    }
}

impl Lane for PictureLane {
    fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError> {
        let Self { source, fit, encoder } = self;
        source.advance(demux, until, &mut |picture, time| encode(picture, time, fit, encoder, mux))
    }

    fn finish(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        let Self { source, fit, encoder } = self;
        source.finish(&mut |picture, time| encode(picture, time, fit, encoder, mux))?;
        encoder.finish(mux)
    }

    fn size(&self) -> (u32, u32) {
        self.fit.size()
    }
}

fn encode(
    picture: frame::Video,
    time: Time,
    fit: &mut Fit,
    encoder: &mut PictureEncoder,
    mux: &mut Mux<'_>,
) -> Result<(), TranscodeError> {
    if !encoder.accepts(time) {
        return Ok(());
    }
    match fit.fit(picture) {
        Ok(picture) => encoder.push(picture, time, mux),
        // A size that can't be scaled comes from a broken frame.
        Err(TranscodeError::Libav { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The size of the output of a video of size `natural`: within the limits of every encoder, and even, as 4:2:0 requires.
pub(super) fn size_for(natural: (u32, u32), options: &VideoOptions) -> (u32, u32) {
    let even = |side: u32| (side / 2 * 2).clamp(LEAST, MOST);
    let size = match (options.width, options.height) {
        (Some(width), Some(height)) => (width, height),
        (Some(width), None) => inside(natural, (even(width), MOST)),
        (None, Some(height)) => inside(natural, (MOST, even(height))),
        (None, None) => natural,
    };
    (even(size.0), even(size.1))
}

/// Pixels of a side that every encoder accepts.
const LEAST: u32 = 64;
const MOST: u32 = 7_680;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_that_follows_the_other_is_within_the_limits_of_encoders() {
        let options =
            |width: Option<u32>, height: Option<u32>| VideoOptions { width, height, ..Default::default() };
        for (natural, options, size) in [
            ((1_280, 720), options(None, None), (1_280, 720)),
            ((1_280, 720), options(Some(640), None), (640, 360)),
            ((360, 640), options(None, Some(100)), (64, 100)),
            ((640, 100), options(Some(100), None), (100, 64)),
            ((100, 20_000), options(Some(7_680), None), (64, 7_680)),
            ((17, 9), options(None, None), (64, 64)),
            ((641, 361), options(None, None), (640, 360)),
        ] {
            assert_eq!(size_for(natural, &options), size, "{natural:?} {options:?}");
        }
    }
}
