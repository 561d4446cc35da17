//! Single pictures of a video track, and JPEG files.

use std::{fs, path::Path};

use ffmpeg_next::{self as ff, codec, format::Pixel, frame};

use crate::{
    MediaKind, TranscodeError, libav,
    progress::Meter,
    render::Pipeline,
    source::{Demux, Pace, PictureSource, Track, measure},
    time::Time,
};

/// The first video track that can be decoded, and its upright size.
pub(super) fn first_video<'a>(
    pipeline: &'a Pipeline<'_>,
    meter: &Meter<'_>,
) -> Result<(&'a Track, (u32, u32)), TranscodeError> {
    let mut any = false;
    for track in pipeline.probe.of_kind(MediaKind::Video) {
        any = true;
        if let Some(measured) = measure(pipeline.input, &pipeline.probe, track, meter.cancelled())? {
            return Ok((track, measured.size));
        }
    }
    Err(if any {
        TranscodeError::Unreadable { detail: libav::with_log("no picture can be decoded") }
    } else {
        TranscodeError::NoSuchTrack { wanted: "track of video".to_owned() }
    })
}

/// Decodes the pictures that are shown at `times`, which increase, and passes each to `sink` with its index in `times`. A
/// time before the track's first picture has the first, a time after the last has the last.
pub(super) fn pictures_at(
    pipeline: &Pipeline<'_>,
    track: &Track,
    times: &[Time],
    meter: &mut Meter<'_>,
    sink: &mut dyn FnMut(usize, &frame::Video) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    let mut demux = Demux::open(pipeline.input, &pipeline.probe, &[track.index], meter.cancelled())?;
    let mut source = PictureSource::open(track, Pace::Prompt)?;
    let mut shown: Option<frame::Video> = None;
    let mut position = Time::from_millis(-1);
    for (index, time) in times.iter().copied().enumerate() {
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
            sink(index, picture)?;
        }
    }
    Ok(())
}

/// Writes a picture of full range.
pub(super) fn write_jpeg(picture: &frame::Video, output: &Path) -> Result<(), TranscodeError> {
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
