//! Pictures out of a video, as JPEG.

use std::{fs, path::Path};

use ffmpeg_next::{self as ff, codec, format::Pixel, frame};

use super::Made;
use crate::{
    TranscodeError, libav,
    picture::{Fit, blank, inside, paint},
    progress::Meter,
    source::{Demux, Kind, Pace, PictureSource, Probe, Track, measure},
    time::Time,
};

/// The first video that can be decoded, and its size upright.
fn first_video<'a>(
    input: &Path,
    probe: &'a Probe,
    meter: &Meter<'_>,
) -> Result<(&'a Track, (u32, u32)), TranscodeError> {
    let mut any = false;
    for track in probe.of_kind(Kind::Video) {
        any = true;
        if let Some(measured) = measure(input, probe, track, meter.cancelled())? {
            return Ok((track, measured.size));
        }
    }
    Err(if any {
        TranscodeError::Unreadable { detail: libav::with_log("no picture can be decoded") }
    } else {
        TranscodeError::NoSuchTrack { wanted: "track of video".to_owned() }
    })
}

pub(super) fn thumbnail(
    input: &Path,
    output: &Path,
    probe: &Probe,
    at: Option<f64>,
    width: Option<u32>,
    meter: &mut Meter<'_>,
) -> Result<Made, TranscodeError> {
    let (track, natural) = first_video(input, probe, meter)?;
    let early = (track.end().seconds() / 10.0).min(10.0);
    let at = Time::from_seconds(at.unwrap_or(early));
    let width = width.unwrap_or_else(|| natural.0.min(640)) / 2 * 2;
    let size = inside(natural, (width, MOST_HIGH));
    let mut fit = Fit::new(size, track.rotation, Pixel::YUVJ420P);
    let mut made = Err(TranscodeError::Unreadable { detail: libav::with_log("no picture can be decoded") });
    pictures_at(input, probe, track, &[at], meter, &mut |_, picture| {
        made = fit.fit_copy(picture);
        Ok(())
    })?;
    write_jpeg(&made?, output)?;
    Ok(Made { end: Time::ZERO, size })
}

/// Pictures at equal distances, from the upper left, on one sheet.
pub(super) fn contact_sheet(
    input: &Path,
    output: &Path,
    probe: &Probe,
    (columns, rows): (u32, u32),
    width: Option<u32>,
    meter: &mut Meter<'_>,
) -> Result<Made, TranscodeError> {
    let (track, natural) = first_video(input, probe, meter)?;
    let cell = cell_of_sheet(natural, (columns, rows), width.unwrap_or(1_280));
    let size = (cell.0 * columns, cell.1 * rows);
    let (start, length) = (track.start().seconds(), (track.end() - track.start()).seconds());
    let count = columns * rows;
    let middle = |place: u32| (f64::from(place) + 0.5) / f64::from(count);
    let times: Vec<Time> =
        (0..count).map(|place| Time::from_seconds(start + middle(place) * length)).collect();
    let mut fit = Fit::new(cell, track.rotation, Pixel::YUVJ420P);
    let mut sheet = blank(size, Pixel::YUVJ420P)?;
    pictures_at(input, probe, track, &times, meter, &mut |place, picture| {
        let place = place as u32;
        let at = (place % columns * cell.0, place / columns * cell.1);
        paint(&mut sheet, &fit.fit_copy(picture)?, at);
        Ok(())
    })?;
    write_jpeg(&sheet, output)?;
    Ok(Made { end: Time::ZERO, size })
}

/// The size of each picture on a sheet of that width: however tall they are, and however many, the sheet stays one that
/// programs can show.
fn cell_of_sheet(natural: (u32, u32), (columns, rows): (u32, u32), width: u32) -> (u32, u32) {
    /// Pixels of a side of a JPEG that libav writes.
    const MOST: u32 = 65_500;
    const MOST_PIXELS: f64 = 64e6;
    let wide = width / columns / 2 * 2;
    let cell = inside(natural, (wide, (wide * 4).min(MOST / rows)));
    let pixels = f64::from(cell.0 * columns) * f64::from(cell.1 * rows);
    let shrink = (MOST_PIXELS / pixels).sqrt().min(1.0);
    let side = |side: u32| (f64::from(side) * shrink) as u32 / 2 * 2;
    inside(natural, (side(cell.0), side(cell.1)))
}

/// A tall picture isn't made smaller for its height.
const MOST_HIGH: u32 = 16_384;

/// Decodes the pictures that are shown at `times`, which grow, and hands each to `sink` with its place among them.
/// Before the first picture of the track the first is taken, after the last one the last.
fn pictures_at(
    input: &Path,
    probe: &Probe,
    track: &Track,
    times: &[Time],
    meter: &mut Meter<'_>,
    sink: &mut dyn FnMut(usize, &frame::Video) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    let mut demux = Demux::open(input, probe, &[track.index], meter.cancelled())?;
    let mut source = PictureSource::open(track, Pace::Prompt)?;
    let mut shown: Option<frame::Video> = None;
    let mut wanted = times.iter().copied().enumerate().peekable();
    let mut position = Time::from_millis(-1);
    while let Some((place, time)) = wanted.peek().copied() {
        let after = track.keyframes.partition_point(|keyframe| *keyframe <= time);
        if let Some(keyframe) = after.checked_sub(1).and_then(|at| track.keyframes.get(at))
            && *keyframe > position
            && after > 1
        {
            demux.seek(*keyframe);
            source.reset();
        }
        let mut passed = false;
        let mut until = time.max(track.start());
        while !passed {
            source.advance(&mut demux, until, &mut |picture, at| {
                passed |= at > time;
                position = position.max(at);
                if at <= time || shown.is_none() {
                    shown = Some(picture);
                }
                Ok(())
            })?;
            if until > track.end() {
                break;
            }
            until = until + Time::from_millis(100);
        }
        if until > track.end() {
            source.finish(&mut |picture, at| {
                if at <= time || shown.is_none() {
                    shown = Some(picture);
                }
                Ok(())
            })?;
        }
        meter.at(time, track.end())?;
        if let Some(picture) = &shown {
            sink(place, picture)?;
        }
        wanted.next();
    }
    Ok(())
}

/// Writes a picture of full range.
fn write_jpeg(picture: &frame::Video, output: &Path) -> Result<(), TranscodeError> {
    let fail = |error| libav::fail("encoding a JPEG", error);
    let codec = ff::encoder::find(codec::Id::MJPEG)
        .ok_or_else(|| TranscodeError::NoEncoder { name: "mjpeg".to_owned() })?;
    let mut context = codec::context::Context::new_with_codec(codec).encoder().video().map_err(fail)?;
    context.set_width(picture.width());
    context.set_height(picture.height());
    context.set_format(Pixel::YUVJ420P);
    context.set_time_base((1, 25));
    // From 2, the best, to 31.
    context.set_qmin(3);
    context.set_qmax(3);
    let mut encoder = context.open_as(codec).map_err(fail)?;
    encoder.send_frame(picture).map_err(fail)?;
    encoder.send_eof().map_err(fail)?;
    let mut packet = ff::Packet::empty();
    encoder.receive_packet(&mut packet).map_err(fail)?;
    fs::write(output, packet.data().unwrap_or_default())
        .map_err(|error| TranscodeError::io("writing the picture", &error))
}
