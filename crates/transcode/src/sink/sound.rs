//! Encodes audio.

use std::ops::RangeInclusive;

use ffmpeg_next::{
    self as ff, ChannelLayout, Rational, codec,
    format::{Sample, sample::Type},
    frame,
};

use super::{PacketSink, StreamId, encoder};
use crate::{TranscodeError, libav};

/// Hertz of a WAV file.
pub(crate) const WAV_RATES: RangeInclusive<u32> = 8_000..=192_000;

/// An audio codec of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoundCodec {
    Aac,
    Mp3,
    Opus,
    Pcm,
}

impl SoundCodec {
    fn encoder(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Mp3 => "libmp3lame",
            Self::Opus => "libopus",
            Self::Pcm => "pcm_s16le",
        }
    }

    fn sample(self) -> Sample {
        match self {
            Self::Aac | Self::Mp3 => Sample::F32(Type::Planar),
            Self::Opus => Sample::F32(Type::Packed),
            Self::Pcm => Sample::I16(Type::Packed),
        }
    }

    /// The sample rates of the encoder, in Hertz; empty: any.
    pub(crate) fn sample_rates(self) -> &'static [u32] {
        match self {
            Self::Aac => &[16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000],
            Self::Mp3 => &[16_000, 22_050, 24_000, 32_000, 44_100, 48_000],
            Self::Opus => &[48_000],
            Self::Pcm => &[],
        }
    }

    /// Bits a second that the encoder accepts without change. It would refuse or change other values.
    pub(crate) fn bit_rates(self, sample_rate: u32, channels: u32) -> RangeInclusive<u32> {
        match self {
            // A frame of 1,024 samples has at most 6,144 bits a channel (the input buffer of ISO 14496-3).
            Self::Aac => 8_000..=sample_rate.saturating_mul(6 * channels).min(512_000),
            // Of layer III in MPEG-1, and in MPEG-2 with its low rates (ISO 11172-3, 13818-3).
            Self::Mp3 if sample_rate < 32_000 => 8_000..=160_000,
            Self::Mp3 => 32_000..=320_000,
            Self::Opus => 8_000..=256_000 * channels,
            Self::Pcm => 0..=u32::MAX,
        }
    }

    /// The default for speech and music, in bits a second.
    fn bit_rate(self, channels: usize) -> usize {
        match self {
            Self::Aac | Self::Opus => 64_000 * channels,
            Self::Mp3 => 80_000 * channels,
            Self::Pcm => 0,
        }
    }
}

/// The parameters of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct SoundSpec {
    pub(crate) codec: SoundCodec,
    pub(crate) sample_rate: u32,
    /// Default: as the tracks have.
    pub(crate) channels: Option<u32>,
    pub(crate) bit_rate: Option<u32>,
}

/// Encodes audio without gaps, from time 0.
pub(crate) struct SoundEncoder {
    codec: SoundCodec,
    encoder: codec::encoder::Audio,
    stream: StreamId,
    time_base: Rational,
    rate: u32,
    channels: usize,
    /// Samples of a frame.
    frame: usize,
    /// Interleaved, less than a frame.
    held: Vec<f32>,
    position: i64,
}

impl SoundEncoder {
    /// Samples of a frame if the codec doesn't prescribe it.
    const FREE_FRAME: usize = 4_096;

    pub(crate) fn open(
        spec: &SoundSpec,
        channels: usize,
        sink: &mut dyn PacketSink,
    ) -> Result<Self, TranscodeError> {
        let name = spec.codec.encoder();
        let fail = |error| libav::fail(&format!("opening the encoder {name}"), error);
        let codec = encoder(name)?;
        let time_base = Rational(1, spec.sample_rate.cast_signed());
        let mut context = codec::context::Context::new_with_codec(codec).encoder().audio().map_err(fail)?;
        context.set_rate(spec.sample_rate.cast_signed());
        context.set_format(spec.codec.sample());
        context.set_channel_layout(layout(channels));
        context.set_time_base(time_base);
        // The range of a bit rate without `channels` is that of two channels.
        let most = *spec.codec.bit_rates(spec.sample_rate, if channels == 1 { 1 } else { 2 }).end();
        let requested = spec.bit_rate.map(|rate| rate.min(most) as usize);
        let bit_rate = requested.unwrap_or_else(|| spec.codec.bit_rate(channels));
        if bit_rate > 0 {
            context.set_bit_rate(bit_rate);
        }
        if sink.wants_global_header() {
            context.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let encoder = context.open_as(codec).map_err(fail)?;
        let stream = sink.add_encoded(&encoder, time_base)?;
        let frame = match encoder.frame_size() as usize {
            0 => Self::FREE_FRAME,
            size => size,
        };
        Ok(Self {
            codec: spec.codec,
            encoder,
            stream,
            time_base,
            rate: spec.sample_rate,
            channels,
            frame,
            held: Vec::new(),
            position: 0,
        })
    }

    /// Appends interleaved samples.
    pub(crate) fn push(&mut self, samples: &[f32], sink: &mut dyn PacketSink) -> Result<(), TranscodeError> {
        self.held.extend_from_slice(samples);
        let held = std::mem::take(&mut self.held);
        let mut frames = held.chunks_exact(self.frame * self.channels);
        for samples in &mut frames {
            self.encode(samples, sink)?;
        }
        self.held.extend_from_slice(frames.remainder());
        Ok(())
    }

    /// Encodes the last samples and ends the stream.
    pub(crate) fn finish(&mut self, sink: &mut dyn PacketSink) -> Result<(), TranscodeError> {
        let rest = std::mem::take(&mut self.held);
        if !rest.is_empty() {
            self.encode(&rest, sink)?;
        }
        // An encoder without any input may refuse to end.
        if self.position == 0 {
            return Ok(());
        }
        self.encoder.send_eof().map_err(|error| libav::fail("ending the sound", error))?;
        self.drain(sink)
    }

    fn encode(&mut self, samples: &[f32], sink: &mut dyn PacketSink) -> Result<(), TranscodeError> {
        let count = samples.len() / self.channels;
        let mut sound = frame::Audio::new(self.codec.sample(), count, layout(self.channels));
        if sound.planes() == 0 {
            return Err(TranscodeError::OutOfMemory { doing: "encoding sound".to_owned() });
        }
        sound.set_rate(self.rate);
        sound.set_pts(Some(self.position));
        fill(&mut sound, samples, self.channels);
        self.position += count as i64;
        self.encoder.send_frame(&sound).map_err(|error| libav::fail("encoding sound", error))?;
        self.drain(sink)
    }

    fn drain(&mut self, sink: &mut dyn PacketSink) -> Result<(), TranscodeError> {
        loop {
            let mut packet = ff::Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => sink.write(self.stream, packet, self.time_base)?,
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                Err(error) => return Err(libav::fail("encoding sound", error)),
            }
        }
    }
}

fn layout(channels: usize) -> ChannelLayout {
    if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO }
}

/// Writes interleaved samples as the frame wants them.
fn fill(sound: &mut frame::Audio, samples: &[f32], channels: usize) {
    match sound.format() {
        Sample::I16(_) => {
            let whole = |sample: &f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            sound.plane_mut::<i16>(0).iter_mut().zip(samples).for_each(|(to, from)| *to = whole(from));
        }
        Sample::F32(Type::Packed) => {
            sound.plane_mut::<f32>(0).iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
        }
        _ => {
            for channel in 0..channels {
                let samples = samples.iter().skip(channel).step_by(channels);
                sound.plane_mut::<f32>(channel).iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
