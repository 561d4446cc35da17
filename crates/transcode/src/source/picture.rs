//! Decoded pictures of one track.

use std::{cell::Cell, path::Path};

use ffmpeg_next::{self as ff, codec, decoder, frame, threading};

use super::{Demux, Survey, Track};
use crate::{TranscodeError, libav, progress::Cancelled, time::Time};

/// More than any decoder holds frames.
const MAX_FAILURES: u32 = 64;

/// Decodes a track of video. Broken frames are passed over.
pub(crate) struct PictureSource {
    track: usize,
    time_base: ff::Rational,
    decoder: decoder::Video,
    last: Time,
}

impl PictureSource {
    /// With `prompt` pictures come out as soon as they can, else a few later and faster.
    pub(crate) fn open(track: &Track, prompt: bool) -> Result<Self, TranscodeError> {
        let mut context = codec::context::Context::from_parameters(track.parameters.clone())
            .map_err(|error| libav::unreadable("reading the video's parameters", error))?;
        let kind = if prompt { threading::Type::Slice } else { threading::Type::Frame };
        context.set_threading(threading::Config { kind, count: libav::threads(), ..Default::default() });
        let mut decoder = context
            .decoder()
            .video()
            .map_err(|error| libav::unreadable("opening the video decoder", error))?;
        decoder.set_packet_time_base(track.time_base);
        Ok(Self { track: track.index, time_base: track.time_base, decoder, last: track.start() })
    }

    /// Decodes what is due at `until` or before; pictures go to `sink` in the order of time.
    pub(crate) fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        while let Some(packet) = demux.next(self.track, until)? {
            // What can't be decoded is lost; the next keyframe mends it.
            if self.decoder.send_packet(&packet).is_ok() {
                self.drain(sink)?;
            }
        }
        Ok(())
    }

    /// Pictures that the decoder still holds.
    pub(crate) fn finish(
        &mut self,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        if self.decoder.send_eof().is_ok() {
            self.drain(sink)?;
        }
        Ok(())
    }

    /// Forgets what came before, to go on elsewhere.
    pub(crate) fn reset(&mut self) {
        self.decoder.flush();
    }

    fn drain(
        &mut self,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        let mut failures = 0;
        while failures < MAX_FAILURES {
            let mut picture = frame::Video::empty();
            match self.decoder.receive_frame(&mut picture) {
                Ok(()) => {}
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                Err(ff::Error::Other { errno: ff::error::ENOMEM }) => {
                    return Err(TranscodeError::OutOfMemory { doing: "decoding video".to_owned() });
                }
                // Of one frame: with several threads others wait behind it.
                Err(_) => {
                    failures += 1;
                    continue;
                }
            }
            if picture.width() == 0 || picture.height() == 0 || picture.planes() == 0 {
                continue;
            }
            let time = picture.timestamp().and_then(|ticks| Time::from_ticks(ticks, self.time_base));
            let time = time.unwrap_or(self.last);
            self.last = time;
            sink(picture, time)?;
        }
        Ok(())
    }
}

/// Packets that are tried to learn a track's size.
const TRIED: usize = 300;

/// The largest size of a track's pictures, upright: from its keyframes where they tell, and from the first picture
/// that can be decoded. `None` if there is no such picture near the start.
pub(crate) fn largest_picture(
    path: &Path,
    survey: &Survey,
    track: &Track,
    cancelled: Cancelled<'_>,
) -> Result<Option<(u32, u32)>, TranscodeError> {
    let mut demux = Demux::open(path, survey, &[track.index], cancelled)?;
    let mut source = PictureSource::open(track, true)?;
    let first = Cell::new(None);
    let mut sink = |picture: frame::Video, _| {
        first.set(first.get().or(Some((picture.width(), picture.height()))));
        Ok(())
    };
    let mut tried = 0;
    while first.get().is_none()
        && tried < TRIED
        && let Some(packet) = demux.next(source.track, track.end())?
    {
        tried += 1;
        if source.decoder.send_packet(&packet).is_ok() {
            source.drain(&mut sink)?;
        }
    }
    source.finish(&mut sink)?;
    Ok(first.get().map(|first: (u32, u32)| {
        // A browser grows from its first size, but not without bound as a broken keyframe may.
        let grown = |first: u32, largest: u32| first.max(largest.min(first.saturating_mul(8)).min(MOST));
        track.rotation.turned((grown(first.0, track.size.0), grown(first.1, track.size.1)))
    }))
}

/// Pixels of a side, beyond which nothing is recorded.
const MOST: u32 = 7_680;
