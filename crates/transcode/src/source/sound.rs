//! Decodes one audio track, at one sample rate and on the recording's timeline.

use ffmpeg_next::{self as ff, ChannelLayout, codec, decoder, format, frame, software::resampling};

use super::{Demux, Track, log_errors};
use crate::{TranscodeError, libav, time::Time};

/// Deviations up to this are the rounding of timestamps to milliseconds.
const ROUNDING: Time = Time::from_millis(2);
/// Deviations from here on are gaps or overlaps. Those between are clock drift; they are corrected by resampling, since a cut
/// would be audible.
const HOLE: Time = Time::from_millis(10);
/// The time over which a deviation is corrected, and the time after which the next correction can begin. With a longer
/// time, a clock that is slewed by 10 ms a second would reach a gap.
const OVER: Time = Time::from_millis(1_000);
const AGAIN: Time = Time::from_millis(200);
/// Samples that the resampler can hold back.
const SLACK: usize = 256;
/// Consecutive failures after which a decoder is not drained further. More than any decoder holds frames.
const MAX_FAILURES: u32 = 64;

/// Consecutive frames without enough memory after which decoding fails.
const MAX_STARVED: u32 = 10;

/// Receives decoded audio: the index of the first sample, and interleaved samples of [`SoundSource::channels`].
pub(crate) type SoundSink<'a> = dyn FnMut(i64, &[f32]) -> Result<(), TranscodeError> + 'a;

/// Decodes an audio track and positions it in time. Broken frames become silence.
pub(crate) struct SoundSource {
    track: usize,
    time_base: ff::Rational,
    decoder: decoder::Audio,
    rate: u32,
    channels: usize,
    resampler: Option<Resampler>,
    last: Time,
    /// Consecutive frames without enough memory.
    starved: u32,
    errors: u64,
}

/// A resampler and the position of its output. It starts again after each gap.
struct Resampler {
    context: resampling::Context,
    input: Format,
    /// The expected time of the next input sample.
    expected: Time,
    /// The index of the next output sample.
    position: i64,
    /// No new correction begins before this time.
    corrected_until: Time,
    /// Samples of the last correction, and its start. A new correction includes the rest of it.
    stretch: i32,
    stretched: Time,
}

#[derive(Clone, Copy, PartialEq)]
struct Format {
    sample: format::Sample,
    layout: ChannelLayout,
    rate: u32,
}

impl SoundSource {
    /// Audio is resampled to `rate`.
    pub(crate) fn open(track: &Track, rate: u32) -> Result<Self, TranscodeError> {
        let context = codec::context::Context::from_parameters(track.parameters.clone())
            .map_err(|error| libav::unreadable("reading the audio's parameters", error))?;
        let mut decoder = context
            .decoder()
            .audio()
            .map_err(|error| libav::unreadable("opening the audio decoder", error))?;
        decoder.set_packet_time_base(track.time_base);
        let channels = if decoder.channels() == 1 { 1 } else { 2 };
        Ok(Self {
            track: track.index,
            time_base: track.time_base,
            decoder,
            rate,
            channels,
            resampler: None,
            last: track.start(),
            starved: 0,
            errors: 0,
        })
    }

    /// 1 or 2: more channels are mixed down to two.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes packets up to `until`.
    pub(crate) fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        sink: &mut SoundSink<'_>,
    ) -> Result<(), TranscodeError> {
        while let Some(packet) = demux.next(self.track, until)? {
            match self.decoder.send_packet(&packet) {
                Ok(()) => self.drain(sink)?,
                Err(_) => self.errors += 1,
            }
        }
        Ok(())
    }

    /// Returns what the decoder and the resampler still hold.
    pub(crate) fn finish(&mut self, sink: &mut SoundSink<'_>) -> Result<(), TranscodeError> {
        if self.decoder.send_eof().is_ok() {
            self.drain(sink)?;
        }
        self.flush(sink)
    }

    fn drain(&mut self, sink: &mut SoundSink<'_>) -> Result<(), TranscodeError> {
        let mut failures = 0;
        while failures < MAX_FAILURES {
            let mut sound = frame::Audio::empty();
            match self.decoder.receive_frame(&mut sound) {
                Ok(()) => {
                    self.starved = 0;
                    self.position(sound, sink)?;
                }
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                // A single damaged frame can require any amount of memory and is skipped.
                Err(ff::Error::Other { errno: ff::error::ENOMEM }) if self.starved >= MAX_STARVED => {
                    return Err(TranscodeError::OutOfMemory { doing: "decoding audio".to_owned() });
                }
                Err(ff::Error::Other { errno: ff::error::ENOMEM }) => {
                    self.starved += 1;
                    self.errors += 1;
                    failures += 1;
                }
                Err(_) => {
                    self.errors += 1;
                    failures += 1;
                }
            }
        }
        Ok(())
    }

    fn position(&mut self, mut sound: frame::Audio, sink: &mut SoundSink<'_>) -> Result<(), TranscodeError> {
        if sound.samples() == 0 || sound.rate() == 0 || sound.planes() == 0 {
            return Ok(());
        }
        if sound.channel_layout().is_empty() {
            sound.set_channel_layout(ChannelLayout::default(i32::from(sound.channels())));
        }
        let format = Format { sample: sound.format(), layout: sound.channel_layout(), rate: sound.rate() };
        let time = sound.timestamp().and_then(|ticks| Time::from_ticks(ticks, self.time_base));
        let time = time.unwrap_or(self.last);
        let length = Time::from_samples(sound.samples() as i64, format.rate);
        self.last = time + length;
        let follows = self
            .resampler
            .as_ref()
            .is_some_and(|resampler| resampler.input == format && (time - resampler.expected).abs() < HOLE);
        if !follows {
            self.flush(sink)?;
            self.resampler = Resampler::new(format, self.rate, self.channels, time);
        }
        // Audio that can't be resampled, such as a layout that libav has no matrix for, becomes silence.
        let Some(resampler) = &mut self.resampler else { return Ok(()) };
        resampler.follow(time, self.rate)?;
        resampler.expected = resampler.expected + length;
        resampler.convert(Some(&sound), self.rate, self.channels, sink)
    }

    fn flush(&mut self, sink: &mut SoundSink<'_>) -> Result<(), TranscodeError> {
        match self.resampler.take() {
            Some(mut resampler) => resampler.convert(None, self.rate, self.channels, sink),
            None => Ok(()),
        }
    }
}

impl Drop for SoundSource {
    fn drop(&mut self) {
        log_errors(self.track, self.errors);
    }
}

impl Resampler {
    fn new(input: Format, rate: u32, channels: usize, start: Time) -> Option<Self> {
        let layout = if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO };
        let sample = format::Sample::F32(format::sample::Type::Packed);
        let context =
            resampling::Context::get(input.sample, input.layout, input.rate, sample, layout, rate).ok()?;
        let position = start.to_samples(rate);
        Some(Self {
            context,
            input,
            expected: start,
            position,
            corrected_until: start,
            stretch: 0,
            stretched: start,
        })
    }

    /// Stretches the next second so that it ends at the right time.
    fn follow(&mut self, time: Time, rate: u32) -> Result<(), TranscodeError> {
        let deviation = time - self.expected;
        if deviation.abs() <= ROUNDING || time < self.corrected_until {
            return Ok(());
        }
        let rest = 1.0 - (time - self.stretched).seconds() / OVER.seconds();
        let rest = (f64::from(self.stretch) * rest.clamp(0.0, 1.0)).round() as i32;
        let delta = i32::try_from(deviation.to_samples(rate)).unwrap_or(0).saturating_add(rest);
        (self.stretch, self.stretched) = (delta, time);
        self.corrected_until = time + AGAIN;
        self.expected = time;
        libav::ffi::compensate(&mut self.context, delta, rate.cast_signed())
            .map_err(|error| libav::fail("stretching sound", error))
    }

    fn convert(
        &mut self,
        sound: Option<&frame::Audio>,
        rate: u32,
        channels: usize,
        sink: &mut SoundSink<'_>,
    ) -> Result<(), TranscodeError> {
        let fail = |error| libav::fail("resampling sound", error);
        let held = self.context.delay().map_or(0, |delay| usize::try_from(delay.output).unwrap_or(0));
        let fresh = sound
            .map_or(0, |sound| sound.samples() as u64 * u64::from(rate) / u64::from(self.input.rate.max(1)));
        let room = held + usize::try_from(fresh).unwrap_or(0) + SLACK;
        let output = self.context.output();
        let mut converted = frame::Audio::new(output.format, room, output.channel_layout);
        if converted.planes() == 0 {
            return Err(TranscodeError::OutOfMemory { doing: "resampling sound".to_owned() });
        }
        match sound {
            Some(sound) => self.context.run(sound, &mut converted).map_err(fail)?,
            None => self.context.flush(&mut converted).map_err(fail)?,
        };
        let count = converted.samples();
        if count > 0 {
            let samples = converted.plane::<f32>(0).get(..count * channels).unwrap_or_default();
            sink(self.position, samples)?;
            self.position += count as i64;
        }
        Ok(())
    }
}
