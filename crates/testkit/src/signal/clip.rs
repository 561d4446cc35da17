//! Coded frames with their times, and the specification of a clip.

use std::{fmt, time::Duration};

/// The codec of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// VP8, RFC 6386.
    Vp8,
    /// VP9 profile 0.
    Vp9,
    /// AV1 main profile.
    Av1,
    /// H.264 constrained baseline, no B frames, parameter sets before each keyframe.
    H264,
    /// Opus, 48 kHz, mono, packets of 20 ms.
    Opus,
}

impl Codec {
    /// Whether this codes pictures.
    #[must_use]
    pub fn is_video(self) -> bool {
        self != Self::Opus
    }

    /// Its name in ffprobe (`codec_name`).
    #[must_use]
    pub fn ffprobe_name(self) -> &'static str {
        match self {
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::H264 => "h264",
            Self::Opus => "opus",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ffprobe_name())
    }
}

/// A clip's specification. On one machine the same specification gives the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClipSpec {
    /// The codec.
    pub codec: Codec,
    /// Width and height in pixels; ignored for audio. The width is a multiple of 20 (the cells of the counter).
    pub size: (u32, u32),
    /// Target bits a second.
    pub bit_rate: u32,
    /// Whole seconds.
    pub seconds: u32,
}

impl ClipSpec {
    /// A small picture that is cheap to encode and to check: 320 × 240, 400 kbit/s, 12 s.
    #[must_use]
    pub fn small(codec: Codec) -> Self {
        Self { codec, size: (320, 240), bit_rate: 400_000, seconds: 12 }
    }

    /// What one camera sends: 1280 × 720 VP8, 1.5 Mbit/s, 10 s.
    #[must_use]
    pub fn load() -> Self {
        Self { codec: Codec::Vp8, size: (1280, 720), bit_rate: 1_500_000, seconds: 10 }
    }

    /// The beep: Opus, 32 kbit/s, 12 s.
    #[must_use]
    pub fn beep() -> Self {
        Self { codec: Codec::Opus, size: (0, 0), bit_rate: 32_000, seconds: 12 }
    }
}

/// One coded picture, or one packet of audio.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it is captured, from the start of the clip.
    pub time: Duration,
    /// Whether decoding can start here. True for all audio.
    pub keyframe: bool,
    /// The coded bytes: a VP8/VP9 frame, an AV1 temporal unit, an H.264 access unit as Annex B, an Opus packet.
    pub data: std::sync::Arc<[u8]>,
}

/// A clip in memory. It can be played in a loop: the first frame is a keyframe and `duration` is exact.
#[derive(Clone, Debug)]
pub struct Clip {
    /// What it was made from.
    pub spec: ClipSpec,
    /// In the order of time, without gaps.
    pub frames: Vec<Frame>,
    /// From the first frame to the end of the last.
    pub duration: Duration,
}
