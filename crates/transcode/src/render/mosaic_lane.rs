//! Draws all video tracks in a grid that follows how many of them are active.

use std::collections::VecDeque;

use ffmpeg_next::{Rational, format::Pixel, frame};

use super::lane::Lane;
use crate::{
    TranscodeError,
    picture::{Colour, Fit, Rotation, blank, inside, paint},
    sink::{Mux, PictureEncoder, PictureSpec, Pictures},
    source::{Demux, Pace, PictureSource, Track},
    time::Time,
};

/// The most that decoders hold frames back. The frames of earlier ticks are complete.
const HELD: Time = Time::from_millis(100);

/// A longer gap between frames means that the participant has left; a shorter one is a still picture.
const STILL: Time = Time::from_millis(10_000);

/// Size and frame rate of the whole picture.
#[derive(Clone, Copy)]
pub(crate) struct Grid {
    size: (u32, u32),
    rate: u32,
}

impl Grid {
    pub(crate) fn new(width: Option<u32>, height: Option<u32>, rate: Option<u32>) -> Self {
        let size = (width.unwrap_or(1_280) / 2 * 2, height.unwrap_or(720) / 2 * 2);
        Self { size, rate: rate.unwrap_or(30) }
    }
}

/// Draws the whole grid at each tick of a constant frame rate.
pub(super) struct MosaicLane {
    cells: Vec<Cell>,
    grid: Grid,
    encoder: PictureEncoder,
    tick: i64,
    /// The end of the last track, video or audio.
    end: Time,
}

/// One video track.
struct Cell {
    track: Track,
    pace: Pace,
    begun: bool,
    /// Only while it has packets to decode, since a decoder needs memory.
    source: Option<PictureSource>,
    /// The intervals in which it is active; past ones are removed.
    active: VecDeque<(Time, Time)>,
    rotation: Rotation,
    /// Decoded frames of later ticks.
    upcoming: VecDeque<(Time, frame::Video)>,
    shown: Option<frame::Video>,
    fit: Option<Fit>,
    /// `shown`, scaled to its cell.
    fitted: Option<frame::Video>,
}

impl MosaicLane {
    /// Tracks without a decoder are left out. Fails if none is left.
    pub(super) fn open(
        videos: &[&Track],
        sounds: &[&Track],
        grid: Grid,
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
        let pictures = Pictures { size: grid.size, colour: Colour::default(), usual_rate: grid.rate, end };
        let encoder = PictureEncoder::open(spec, pictures, mux)?;
        Ok(Self { cells, grid, encoder, tick: 0, end })
    }

    /// Draws all ticks before `until`.
    fn draw(&mut self, until: Time, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        let base = Rational(1, self.grid.rate.cast_signed());
        while let Some(now) = Time::from_ticks(self.tick, base).filter(|now| *now < until.min(self.end)) {
            self.tick += 1;
            let mut active: Vec<&mut Cell> = Vec::new();
            for cell in &mut self.cells {
                if cell.is_active(now) {
                    active.push(cell);
                }
            }
            let mut canvas = blank(self.grid.size, Pixel::YUV420P)?;
            let cells = cells(active.len(), self.grid.size);
            for (cell, (at, size)) in active.into_iter().zip(cells) {
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
        // The last frame of a track with rare frames is shown for as long as others are.
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
            upcoming: VecDeque::new(),
            shown: None,
            fit: None,
            fitted: None,
        }
    }

    /// Decodes packets up to `until`.
    fn decode(&mut self, demux: &mut Demux<'_>, until: Time) -> Result<(), TranscodeError> {
        if until < self.track.start() {
            return Ok(());
        }
        if !self.begun {
            self.begun = true;
            self.source = Some(PictureSource::open(&self.track, self.pace)?);
        }
        let Some(source) = &mut self.source else { return Ok(()) };
        let upcoming = &mut self.upcoming;
        source.advance(demux, until, &mut |picture, time| {
            upcoming.push_back((time, picture));
            Ok(())
        })?;
        if until > self.track.end() { self.finish() } else { Ok(()) }
    }

    /// Takes the last frames from the decoder and drops it.
    fn finish(&mut self) -> Result<(), TranscodeError> {
        let Some(mut source) = self.source.take() else { return Ok(()) };
        source.finish(&mut |picture, time| {
            self.upcoming.push_back((time, picture));
            Ok(())
        })
    }

    /// Advances to `now`. Returns whether the track is active then.
    fn is_active(&mut self, now: Time) -> bool {
        while self.active.pop_front_if(|(_, end)| *end <= now).is_some() {
            // The last frame before a pause is not shown after it.
            self.shown = None;
            self.fitted = None;
        }
        while let Some((_, picture)) = self.upcoming.pop_front_if(|(time, _)| *time <= now) {
            self.shown = Some(picture);
            self.fitted = None;
        }
        self.active.front().is_some_and(|(start, _)| *start <= now)
    }

    /// Its current frame, scaled to fit `size`.
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
        self.grid.size
    }
}

/// Upper left corner and size of each of `count` cells: in a grid that is as square as possible, with a centred last row.
fn cells(count: usize, size: (u32, u32)) -> impl Iterator<Item = ((u32, u32), (u32, u32))> {
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
    fn the_grid_follows_the_number_of_videos() {
        let size = (1_280, 720);
        let all = |count| cells(count, size).collect::<Vec<_>>();
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
