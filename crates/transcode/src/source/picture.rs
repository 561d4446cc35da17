//! Decodes one video track.

use ffmpeg_next::{self as ff, codec, color, decoder, format::Pixel, frame, threading};

use super::{Demux, Track, log_errors};
use crate::{TranscodeError, libav, time::Time};

/// Consecutive failures after which a decoder is not drained further. More than any decoder holds frames.
const MAX_FAILURES: u32 = 64;

/// Consecutive frames without enough memory after which decoding fails. A single damaged frame can require any amount and
/// is skipped.
const MAX_STARVED: u32 = 10;

/// Latency and threads of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Frames are returned as soon as possible.
    Prompt,
    /// The same with one thread. For many decoders at once, since each thread reserves memory for its stack.
    Frugal,
    /// The highest throughput; frames are returned a few frames later.
    Fast,
}

/// Decodes a video track. Broken frames are skipped.
pub(crate) struct PictureSource {
    track: usize,
    time_base: ff::Rational,
    decoder: decoder::Video,
    last: Time,
    /// Consecutive frames without enough memory.
    starved: u32,
    errors: u64,
}

impl PictureSource {
    pub(crate) fn open(track: &Track, pace: Pace) -> Result<Self, TranscodeError> {
        let mut context = codec::context::Context::from_parameters(track.parameters.clone())
            .map_err(|error| libav::unreadable("reading the video's parameters", error))?;
        let kind = if pace == Pace::Fast { threading::Type::Frame } else { threading::Type::Slice };
        let count = if pace == Pace::Frugal { 1 } else { libav::threads() };
        context.set_threading(threading::Config { kind, count, ..Default::default() });
        if pace != Pace::Fast && track.codec == codec::Id::AV1 {
            // dav1d holds back a frame for each thread.
            context.set_flags(codec::Flags::LOW_DELAY);
        }
        let mut decoder = context
            .decoder()
            .video()
            .map_err(|error| libav::unreadable("opening the video decoder", error))?;
        decoder.set_packet_time_base(track.time_base);
        let (track, time_base, last) = (track.index, track.time_base, track.start());
        Ok(Self { track, time_base, decoder, last, starved: 0, errors: 0 })
    }

    /// Decodes packets up to `until`. Passes frames to `sink` in the order of time.
    pub(crate) fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        while let Some(packet) = demux.next(self.track, until)? {
            self.decode(&packet, sink)?;
        }
        Ok(())
    }

    /// Decodes one packet. A frame that can't be decoded is skipped; the next keyframe restores the video.
    pub(super) fn decode(
        &mut self,
        packet: &ff::Packet,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        match self.decoder.send_packet(packet) {
            Ok(()) => self.drain(sink),
            Err(error) => self.skip(error),
        }
    }

    /// Returns the frames that the decoder still holds.
    pub(crate) fn finish(
        &mut self,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        if self.decoder.send_eof().is_ok() {
            self.drain(sink)?;
        }
        Ok(())
    }

    /// Discards the decoder's state, to continue after a seek.
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
                Ok(()) => self.starved = 0,
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                // The error of one frame. With several threads, others are ready behind it.
                Err(error) => {
                    self.skip(error)?;
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
            mark_range(&mut picture);
            sink(picture, time)?;
        }
        Ok(())
    }

    fn skip(&mut self, error: ff::Error) -> Result<(), TranscodeError> {
        self.errors += 1;
        if error == (ff::Error::Other { errno: ff::error::ENOMEM }) {
            self.starved += 1;
            if self.starved >= MAX_STARVED {
                return Err(TranscodeError::OutOfMemory { doing: "decoding video".to_owned() });
            }
        }
        Ok(())
    }
}

impl Drop for PictureSource {
    fn drop(&mut self) {
        log_errors(self.track, self.errors);
    }
}

/// libav marks full range in two ways. Scalers only consider the pixel format.
fn mark_range(picture: &mut frame::Video) {
    if picture.color_range() == color::Range::JPEG {
        match picture.format() {
            Pixel::YUV420P => picture.set_format(Pixel::YUVJ420P),
            Pixel::YUV422P => picture.set_format(Pixel::YUVJ422P),
            Pixel::YUV444P => picture.set_format(Pixel::YUVJ444P),
            _ => {}
        }
    }
}
