//! All videos in a grid, which follows how many of them are active.

use std::collections::VecDeque;

use ffmpeg_next::{Rational, format::Pixel, frame};

use super::lane::Lane;
use crate::{
    TranscodeError,
    picture::{Colour, Fit, blank, inside, paint},
    sink::{Mux, PictureEncoder, PictureSpec, Pictures},
    source::{Demux, Pace, PictureSource, Rotation, Track},
    time::Time,
};

/// Decoders hold pictures back for less than this; those of earlier ticks have arrived.
const HELD: Time = Time::from_millis(100);

/// A video that sends no picture for longer has left; what is shorter is one that stands still.
const STILL: Time = Time::from_millis(10_000);

/// Size and rate of the whole picture.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    size: (u32, u32),
    rate: u32,
}

impl Shape {
    pub(super) fn new(width: Option<u32>, height: Option<u32>, rate: Option<u32>) -> Self {
        let size = (width.unwrap_or(1_280) / 2 * 2, height.unwrap_or(720) / 2 * 2);
        Self { size, rate: rate.unwrap_or(30) }
    }
}

/// Draws a picture of the whole grid at each tick of a constant rate.
pub(super) struct MosaicLane {
    cells: Vec<Cell>,
    shape: Shape,
    encoder: PictureEncoder,
    tick: i64,
    /// Where the last track of any kind ends.
    end: Time,
}

/// One video.
struct Cell {
    track: Track,
    pace: Pace,
    begun: bool,
    /// While it has anything to decode: a decoder takes memory.
    source: Option<PictureSource>,
    /// From when to when it is active; the past is taken away.
    active: VecDeque<(Time, Time)>,
    rotation: Rotation,
    /// Decoded and not yet due.
    coming: VecDeque<(Time, frame::Video)>,
    shown: Option<frame::Video>,
    fit: Option<Fit>,
    /// `shown` as it was last drawn.
    fitted: Option<frame::Video>,
}

impl MosaicLane {
    /// Tracks that libav has no decoder for are left out, unless that leaves none.
    pub(super) fn open(
        videos: &[&Track],
        sounds: &[&Track],
        shape: Shape,
        spec: &PictureSpec,
        mux: &mut Mux<'_>,
    ) -> Result<Self, TranscodeError> {
        let mut cells = Vec::new();
        let mut refused = None;
        let pace = if videos.len() > 1 { Pace::Frugal } else { Pace::Prompt };
        for track in videos {
            match PictureSource::open(track, pace) {
                Ok(_) => cells.push(Cell::new(track, pace)),
                Err(error @ TranscodeError::Unreadable { .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let (true, Some(error)) = (cells.is_empty(), refused) {
            return Err(error);
        }
        let end = videos.iter().chain(sounds).map(|track| track.end()).max().unwrap_or_default();
        let pictures = Pictures { size: shape.size, colour: Colour::default(), usual_rate: shape.rate, end };
        let encoder = PictureEncoder::open(spec, pictures, mux)?;
        Ok(Self { cells, shape, encoder, tick: 0, end })
    }

    /// Draws all ticks before `until`.
    fn draw(&mut self, until: Time, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        let base = Rational(1, self.shape.rate.cast_signed());
        while let Some(now) = Time::from_ticks(self.tick, base).filter(|now| *now < until.min(self.end)) {
            self.tick += 1;
            let mut active: Vec<&mut Cell> = Vec::new();
            for cell in &mut self.cells {
                if cell.is_active(now) {
                    active.push(cell);
                }
            }
            let mut canvas = blank(self.shape.size, Pixel::YUV420P)?;
            let places = grid(active.len(), self.shape.size);
            for (cell, (at, size)) in active.into_iter().zip(places) {
                if let Some(picture) = cell.picture(size)? {
                    let margin = |room: u32, side: u32| (room - side.min(room)) / 4 * 2;
                    let at =
                        (at.0 + margin(size.0, picture.width()), at.1 + margin(size.1, picture.height()));
                    paint(&mut canvas, picture, at);
                }
            }
            self.encoder.push(canvas, now, mux)?;
        }
        Ok(())
    }
}

impl Cell {
    fn new(track: &Track, pace: Pace) -> Self {
        // Of one that sends a picture now and then, the last stands as others do.
        let stays = if track.frame_rate() <= 1 { STILL } else { Time::ZERO };
        let mut active: VecDeque<(Time, Time)> = VecDeque::new();
        for run in &track.runs {
            match active.back_mut() {
                Some((_, end)) if run.start - *end <= STILL - stays => *end = run.end + stays,
                _ => active.push_back((run.start, run.end + stays)),
            }
        }
        Self {
            track: track.clone(),
            pace,
            begun: false,
            source: None,
            active,
            rotation: track.rotation,
            coming: VecDeque::new(),
            shown: None,
            fit: None,
            fitted: None,
        }
    }

    /// Decodes what is due at `until` or before.
    fn decode(&mut self, demux: &mut Demux<'_>, until: Time) -> Result<(), TranscodeError> {
        if until < self.track.start() {
            return Ok(());
        }
        if !self.begun {
            self.begun = true;
            self.source = Some(PictureSource::open(&self.track, self.pace)?);
        }
        let Some(source) = &mut self.source else { return Ok(()) };
        let coming = &mut self.coming;
        source.advance(demux, until, &mut |picture, time| {
            coming.push_back((time, picture));
            Ok(())
        })?;
        if until > self.track.end() { self.finish() } else { Ok(()) }
    }

    /// Takes what the decoder still holds, and gives it up.
    fn finish(&mut self) -> Result<(), TranscodeError> {
        let Some(mut source) = self.source.take() else { return Ok(()) };
        source.finish(&mut |picture, time| {
            self.coming.push_back((time, picture));
            Ok(())
        })
    }

    /// Goes on to `now`, and tells whether the video is to be seen then.
    fn is_active(&mut self, now: Time) -> bool {
        while self.active.pop_front_if(|(_, end)| *end <= now).is_some() {
            // What it showed before a pause is not what it shows after.
            self.shown = None;
            self.fitted = None;
        }
        while let Some((_, picture)) = self.coming.pop_front_if(|(time, _)| *time <= now) {
            self.shown = Some(picture);
            self.fitted = None;
        }
        self.active.front().is_some_and(|(start, _)| *start <= now)
    }

    /// What it shows, within `size`.
    fn picture(&mut self, size: (u32, u32)) -> Result<Option<&frame::Video>, TranscodeError> {
        let Some(shown) = &self.shown else { return Ok(None) };
        let inner = inside(self.rotation.turned((shown.width(), shown.height())), size);
        if self.fit.as_ref().is_none_or(|fit| fit.size() != inner) {
            self.fit = Some(Fit::new(inner, self.rotation, Pixel::YUV420P));
            self.fitted = None;
        }
        if let (None, Some(fit)) = (&self.fitted, &mut self.fit) {
            self.fitted = Some(fit.fit_copy(shown)?);
        }
        Ok(self.fitted.as_ref())
    }
}

impl Lane for MosaicLane {
    fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError> {
        for cell in &mut self.cells {
            cell.decode(demux, until)?;
        }
        self.draw(until - HELD, mux)
    }

    fn finish(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        for cell in &mut self.cells {
            cell.finish()?;
        }
        self.draw(self.end, mux)?;
        self.encoder.finish(mux)
    }

    fn size(&self) -> (u32, u32) {
        self.shape.size
    }
}

/// Upper left corner and size of each of `count` places: as square a grid as can be, with its last row in the middle.
fn grid(count: usize, size: (u32, u32)) -> impl Iterator<Item = ((u32, u32), (u32, u32))> {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let columns = (1..).find(|side: &u32| side.saturating_mul(*side) >= count).unwrap_or(count);
    let rows = count.div_ceil(columns);
    let cell = ((size.0 / columns / 2 * 2).max(2), (size.1 / rows / 2 * 2).max(2));
    (0..count).map(move |place| {
        let (row, column) = (place / columns, place % columns);
        let in_row = columns.min(count - row * columns);
        let left = size.0.saturating_sub(in_row * cell.0) / 4 * 2;
        ((left + column * cell.0, row * cell.1), cell)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_grows_with_the_number_of_videos() {
        let size = (1_280, 720);
        let all = |count| grid(count, size).collect::<Vec<_>>();
        assert_eq!(all(1), [((0, 0), (1_280, 720))]);
        assert_eq!(all(2), [((0, 0), (640, 720)), ((640, 0), (640, 720))]);
        assert_eq!(all(3)[2], ((320, 360), (640, 360)));
        assert_eq!(all(4)[3], ((640, 360), (640, 360)));
        assert_eq!(all(5)[3..], [((214, 360), (426, 360)), ((640, 360), (426, 360))]);
        for count in 1..50 {
            let outside = |((x, y), (w, h)): ((u32, u32), (u32, u32))| x + w > size.0 || y + h > size.1;
            assert!(!all(count).into_iter().any(outside), "{count}");
        }
    }
}
