//! Encodes video.

use std::ops::RangeInclusive;

use ffmpeg_next::{self as ff, Dictionary, Rational, codec, color, format::Pixel, frame, picture};

use super::frame_rate_limit::FrameRateLimit;
use super::{Container, Mux, PacketSink, StreamId, encoder};
use crate::{Preset, TranscodeError, libav, picture::Colour, time::Time};

/// A video codec of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureCodec {
    H264,
    Vp9,
    Av1,
}

impl PictureCodec {
    fn encoder(self) -> &'static str {
        match self {
            Self::H264 => "libx264",
            Self::Vp9 => "libvpx-vp9",
            Self::Av1 => "libsvtav1",
        }
    }

    /// The range of `crf`, the best first. In H.264, 0 is lossless, which most players can't show; SVT-AV1 ignores 0.
    pub(crate) fn qualities(self) -> RangeInclusive<u32> {
        match self {
            Self::H264 => 1..=51,
            Self::Vp9 => 0..=63,
            Self::Av1 => 1..=63,
        }
    }

    /// Bits a second.
    pub(crate) fn bit_rates(self) -> RangeInclusive<u32> {
        let most = if self == Self::Av1 { 100_000_000 } else { 200_000_000 };
        10_000..=most
    }

    /// The codec of a track that can be copied.
    pub(crate) fn id(self) -> codec::Id {
        match self {
            Self::H264 => codec::Id::H264,
            Self::Vp9 => codec::Id::VP9,
            Self::Av1 => codec::Id::AV1,
        }
    }

    fn options(self, spec: &PictureSpec) -> Dictionary<'static> {
        let mut options = Dictionary::new();
        let preset = spec.preset.unwrap_or_default();
        let crf = |default: u32| spec.crf.unwrap_or(default).to_string();
        match self {
            Self::H264 => {
                options.set("preset", x264_preset(preset));
                if spec.bit_rate.is_none() {
                    options.set("crf", &crf(23));
                }
            }
            Self::Vp9 => {
                // The deadline `good` has no step above 5. Faster steps need `realtime`.
                let step = 8 - speed_step(preset);
                options.set("deadline", if step > 5 { "realtime" } else { "good" });
                options.set("row-mt", "1");
                options.set("cpu-used", &step.to_string());
                if spec.bit_rate.is_none() {
                    options.set("b", "0");
                    options.set("crf", &crf(33));
                }
            }
            Self::Av1 => {
                options.set("preset", &(12 - speed_step(preset)).to_string());
                if spec.bit_rate.is_none() {
                    options.set("crf", &crf(35));
                }
            }
        }
        options
    }
}

/// The parameters of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct PictureSpec {
    pub(crate) codec: PictureCodec,
    pub(crate) bit_rate: Option<u32>,
    pub(crate) crf: Option<u32>,
    pub(crate) preset: Option<Preset>,
    /// The most frames a second, on average.
    pub(crate) frame_rate: Option<u32>,
}

/// The frames to encode.
#[derive(Clone, Copy)]
pub(crate) struct Pictures {
    /// Of all frames.
    pub(crate) size: (u32, u32),
    pub(crate) colour: Colour,
    /// Frames a second, as a hint for the encoder.
    pub(crate) usual_rate: u32,
    /// The end of the last frame.
    pub(crate) end: Time,
}

/// The most media that a player decodes after a seek.
const KEYFRAME_INTERVAL: Time = Time::from_millis(4_000);

/// Encodes frames with their own timestamps.
pub(crate) struct PictureEncoder {
    encoder: codec::encoder::Video,
    stream: StreamId,
    time_base: Rational,
    /// The usual duration of a frame, in units of `time_base`.
    duration: i64,
    /// In units of `time_base`.
    end: i64,
    rate_limit: Option<FrameRateLimit>,
    last: Option<i64>,
    last_keyframe: Option<Time>,
}

impl PictureEncoder {
    pub(crate) fn open(
        spec: &PictureSpec,
        pictures: Pictures,
        mux: &mut Mux<'_>,
    ) -> Result<Self, TranscodeError> {
        let name = spec.codec.encoder();
        let fail = |error| libav::fail(&format!("opening the encoder {name}"), error);
        let Pictures { size, colour, usual_rate, end } = pictures;
        let codec = encoder(name)?;
        // Matroska has milliseconds. For MP4, the 90 kHz of RTP.
        let time_base =
            if mux.container() == Container::Webm { Rational(1, 1_000) } else { Rational(1, 90_000) };
        let rate = spec.frame_rate.map_or(usual_rate, |most| most.min(usual_rate)).max(1);
        let mut context = codec::context::Context::new_with_codec(codec).encoder().video().map_err(fail)?;
        context.set_width(size.0);
        context.set_height(size.1);
        context.set_format(Pixel::YUV420P);
        context.set_time_base(time_base);
        context.set_frame_rate(Some((rate.cast_signed(), 1)));
        // Keyframes are requested by time, which SVT-AV1 ignores.
        let by_time = spec.codec != PictureCodec::Av1;
        context.set_gop(if by_time { MOST_IN_GROUP } else { rate * 4 });
        context.set_color_range(color::Range::MPEG);
        context.set_colorspace(colour.space);
        context.set_color_primaries(colour.primaries);
        context.set_color_transfer_characteristic(colour.transfer);
        if let Some(bits) = spec.bit_rate {
            context.set_bit_rate(bits as usize);
        }
        let ticks = time_base.1 / rate.cast_signed();
        libav::ffi::set_ticks_per_frame(&mut context, ticks);
        context.set_threading(codec::threading::Config {
            kind: codec::threading::Type::Frame,
            count: libav::threads(),
            ..Default::default()
        });
        if mux.wants_global_header() {
            context.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let encoder = context.open_as_with(codec, spec.codec.options(spec)).map_err(fail)?;
        let stream = mux.add_encoded(&encoder, time_base)?;
        Ok(Self {
            encoder,
            stream,
            time_base,
            duration: i64::from(ticks),
            end: end.to_ticks(time_base),
            rate_limit: spec.frame_rate.map(FrameRateLimit::new),
            last: None,
            last_keyframe: None,
        })
    }

    /// Whether [`push`](Self::push) accepts a frame of this time: it must be later than the last one, and within the frame rate
    /// limit.
    pub(crate) fn accepts(&self, time: Time) -> bool {
        let late = self.last.is_none_or(|last| time.to_ticks(self.time_base) > last);
        time >= Time::ZERO && late && self.rate_limit.as_ref().is_none_or(|limit| limit.accepts(time))
    }

    /// Encodes a frame. A frame that isn't [accepted](Self::accepts) is dropped.
    pub(crate) fn push(
        &mut self,
        mut picture: frame::Video,
        time: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError> {
        if !self.accepts(time) {
            return Ok(());
        }
        let ticks = time.to_ticks(self.time_base);
        self.last = Some(ticks);
        if let Some(limit) = &mut self.rate_limit {
            limit.accepted(time);
        }
        picture.set_pts(Some(ticks));
        let keyframe = self.last_keyframe.is_none_or(|last| time - last >= KEYFRAME_INTERVAL);
        if keyframe {
            self.last_keyframe = Some(time);
        }
        // Otherwise the encoder would write a keyframe wherever the input had one.
        picture.set_kind(if keyframe { picture::Type::I } else { picture::Type::None });
        self.encoder.send_frame(&picture).map_err(|error| libav::fail("encoding a picture", error))?;
        self.drain(mux)
    }

    /// Writes the frames that the encoder holds back.
    pub(crate) fn finish(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        if self.last.is_none() {
            return Ok(());
        }
        self.encoder.send_eof().map_err(|error| libav::fail("ending the video", error))?;
        self.drain(mux)
    }

    fn drain(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        loop {
            let mut packet = ff::Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    // Containers derive the duration from the next frame. Without one, the last frame would not be shown.
                    let left = self.end.saturating_sub(packet.pts().unwrap_or(0));
                    packet.set_duration(self.duration.min(left).max(1));
                    mux.write(self.stream, packet, self.time_base)?;
                }
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return Ok(()),
                Err(error) => return Err(libav::fail("encoding a picture", error)),
            }
        }
    }
}

/// The longest GOP of an encoder whose keyframes are requested by time.
const MOST_IN_GROUP: u32 = 1_000;

fn x264_preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Ultrafast => "ultrafast",
        Preset::Superfast => "superfast",
        Preset::Veryfast => "veryfast",
        Preset::Faster => "faster",
        Preset::Fast => "fast",
        Preset::Medium => "medium",
        Preset::Slow => "slow",
        Preset::Slower => "slower",
    }
}

/// From 0, the fastest, to 7.
fn speed_step(preset: Preset) -> u8 {
    match preset {
        Preset::Ultrafast => 0,
        Preset::Superfast => 1,
        Preset::Veryfast => 2,
        Preset::Faster => 3,
        Preset::Fast => 4,
        Preset::Medium => 5,
        Preset::Slow => 6,
        Preset::Slower => 7,
    }
}
