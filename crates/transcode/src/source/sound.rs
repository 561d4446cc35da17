//! Decoded sound of one track, at one rate and on the recording's timeline.

use ffmpeg_next::{self as ff, ChannelLayout, codec, decoder, format, frame, software::resampling};

use super::{Demux, Track};
use crate::{TranscodeError, libav, time::Time};

/// Deviations up to this are the rounding of timestamps to milliseconds.
const ROUNDING: Time = Time::from_millis(2);
/// Deviations from here on are holes or overlaps; those between are the drift of clocks and are stretched away, since
/// cutting them would be heard.
const HOLE: Time = Time::from_millis(10);
/// Over which time a deviation is stretched away, and after which a new one is looked at: clocks that are slewed by some
/// 10 ms a second would else come to a hole before.
const OVER: Time = Time::from_millis(1_000);
const AGAIN: Time = Time::from_millis(200);
/// Samples that the resampler may hold back.
const SLACK: usize = 256;
/// More than any decoder holds frames.
const MAX_FAILURES: u32 = 64;

/// Frames in a row for which there is no memory.
const MAX_STARVED: u32 = 10;

/// Where decoded sound goes: the index of the first sample, and interleaved samples of [`SoundSource::channels`].
pub(crate) type SoundSink<'a> = dyn FnMut(i64, &[f32]) -> Result<(), TranscodeError> + 'a;

/// Decodes a track of audio and puts it at its place in time. Broken frames are passed over and leave silence.
pub(crate) struct SoundSource {
    track: usize,
    time_base: ff::Rational,
    decoder: decoder::Audio,
    rate: u32,
    channels: usize,
    resampler: Option<Resampler>,
    last: Time,
    /// Frames in a row that found no memory.
    starved: u32,
}

/// A resampler and where its output belongs. It begins anew at each hole.
struct Resampler {
    context: resampling::Context,
    input: Format,
    /// Where the next input sample is expected.
    expected: Time,
    /// Where the next output sample goes.
    position: i64,
    /// No new stretching before this.
    settled: Time,
    /// Samples by which it was last to stretch, and from when on: what of it isn't done yet is taken over by the next.
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
    /// Sound will come out at `rate`.
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
        })
    }

    /// 1 or 2: sound of more channels is mixed down to two.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes what is due at `until` or before.
    pub(crate) fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        sink: &mut SoundSink<'_>,
    ) -> Result<(), TranscodeError> {
        while let Some(packet) = demux.next(self.track, until)? {
            if self.decoder.send_packet(&packet).is_ok() {
                self.drain(sink)?;
            }
        }
        Ok(())
    }

    /// What the decoder and the resampler still hold.
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
                    self.place(sound, sink)?;
                }
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                // A damaged frame may ask for any amount; it is passed over like others.
                Err(ff::Error::Other { errno: ff::error::ENOMEM }) if self.starved >= MAX_STARVED => {
                    return Err(TranscodeError::OutOfMemory { doing: "decoding audio".to_owned() });
                }
                Err(ff::Error::Other { errno: ff::error::ENOMEM }) => {
                    self.starved += 1;
                    failures += 1;
                }
                Err(_) => failures += 1,
            }
        }
        Ok(())
    }

    fn place(&mut self, mut sound: frame::Audio, sink: &mut SoundSink<'_>) -> Result<(), TranscodeError> {
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
        // What can't be resampled, such as a layout that libav has no matrix for, is left silent.
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

impl Resampler {
    fn new(input: Format, rate: u32, channels: usize, start: Time) -> Option<Self> {
        let layout = if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO };
        let sample = format::Sample::F32(format::sample::Type::Packed);
        let context =
            resampling::Context::get(input.sample, input.layout, input.rate, sample, layout, rate).ok()?;
        let position = start.to_samples(rate);
        let (settled, stretched) = (start, start);
        Some(Self { context, input, expected: start, position, settled, stretch: 0, stretched })
    }

    /// Stretches what comes next over a second so that it meets `time`.
    fn follow(&mut self, time: Time, rate: u32) -> Result<(), TranscodeError> {
        let deviation = time - self.expected;
        if deviation.abs() <= ROUNDING || time < self.settled {
            return Ok(());
        }
        let undone = 1.0 - (time - self.stretched).seconds() / OVER.seconds();
        let undone = (f64::from(self.stretch) * undone.clamp(0.0, 1.0)).round() as i32;
        let delta = i32::try_from(deviation.to_samples(rate)).unwrap_or(0).saturating_add(undone);
        (self.stretch, self.stretched) = (delta, time);
        self.settled = time + AGAIN;
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
