//! Decoded pictures of one track.

use ffmpeg_next::{self as ff, codec, color, decoder, format::Pixel, frame, threading};

use super::{Demux, Track};
use crate::{TranscodeError, libav, time::Time};

/// More than any decoder holds frames.
const MAX_FAILURES: u32 = 64;

/// Frames in a row for which there is no memory. A damaged one may ask for any amount; it is passed over like others.
const MAX_STARVED: u32 = 10;

/// What matters of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Pictures come out as soon as they can.
    Prompt,
    /// The same with one thread: for one decoder of many, as each thread reserves memory for its stack.
    Frugal,
    /// Pictures come out a few later, and faster.
    Fast,
}

/// Decodes a track of video. Broken frames are passed over.
pub(crate) struct PictureSource {
    track: usize,
    time_base: ff::Rational,
    decoder: decoder::Video,
    last: Time,
    /// Frames in a row that found no memory.
    starved: u32,
}

impl PictureSource {
    pub(crate) fn open(track: &Track, pace: Pace) -> Result<Self, TranscodeError> {
        let mut context = codec::context::Context::from_parameters(track.parameters.clone())
            .map_err(|error| libav::unreadable("reading the video's parameters", error))?;
        let kind = if pace == Pace::Fast { threading::Type::Frame } else { threading::Type::Slice };
        let count = if pace == Pace::Frugal { 1 } else { libav::threads() };
        context.set_threading(threading::Config { kind, count, ..Default::default() });
        if pace != Pace::Fast && track.codec == codec::Id::AV1 {
            // dav1d holds a picture back for each of its threads.
            context.set_flags(codec::Flags::LOW_DELAY);
        }
        let mut decoder = context
            .decoder()
            .video()
            .map_err(|error| libav::unreadable("opening the video decoder", error))?;
        decoder.set_packet_time_base(track.time_base);
        let (track, time_base, last) = (track.index, track.time_base, track.start());
        Ok(Self { track, time_base, decoder, last, starved: 0 })
    }

    /// Decodes what is due at `until` or before; pictures go to `sink` in the order of time.
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

    /// Decodes one packet. What can't be decoded is lost; the next keyframe mends it.
    pub(super) fn decode(
        &mut self,
        packet: &ff::Packet,
        sink: &mut dyn FnMut(frame::Video, Time) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        match self.decoder.send_packet(packet) {
            Ok(()) => self.drain(sink),
            Err(error) => self.pass_over(error),
        }
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
                Ok(()) => self.starved = 0,
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                // Of one frame: with several threads others wait behind it.
                Err(error) => {
                    self.pass_over(error)?;
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

    fn pass_over(&mut self, error: ff::Error) -> Result<(), TranscodeError> {
        if error == (ff::Error::Other { errno: ff::error::ENOMEM }) {
            self.starved += 1;
            if self.starved >= MAX_STARVED {
                return Err(TranscodeError::OutOfMemory { doing: "decoding video".to_owned() });
            }
        }
        Ok(())
    }
}

/// libav tells full range in two ways. From here on the pixel format alone tells, which scalers go by.
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
