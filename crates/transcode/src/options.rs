//! Parameters that several kinds of renditions share. Each has a default; unknown ones are refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How video is encoded. If all of it is left out, a track that already has the right codec is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VideoOptions {
    /// Pixels. With `height` the video is fitted into the box, with black bars if the aspect ratios differ. Alone, the
    /// other side follows. Default: the largest size that the track has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels; see `width`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The highest average number of frames a second. A slower track keeps its frame rate. Default: every frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u32>,
    /// Bits a second, on average: 10,000 to 200,000,000, for AV1 to 100,000,000. Default: constant quality, see `crf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u32>,
    /// Constant quality; a lower value is better and larger. H.264: 1 to 51, default 23. VP9: 0 to 63, default 33. AV1:
    /// 1 to 63, default 35. Not with `bit_rate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u32>,
    /// Encoding time against file size. Default: `veryfast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

impl VideoOptions {
    /// Whether no option requires the video to be encoded.
    pub(crate) fn allows_copy(&self) -> bool {
        *self == Self::default()
    }
}

/// Encoding time against file size, by the names of x264. VP9 and AV1 have steps of the same meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Preset {
    Ultrafast,
    Superfast,
    #[default]
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
}

/// How audio is encoded. If all of it is left out, a single track that already has the right codec is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AudioOptions {
    /// Bits a second. Default: 64,000 a channel for Opus and AAC, 80,000 for MP3. Range for MP3: 32,000 to 320,000, below
    /// 32 kHz 8,000 to 160,000, rounded to the nearest step; for Opus: 8,000 to 256,000 a channel; for AAC: 8,000 to 6
    /// bits a sample, at most 512,000. If `channels` is left out the range for two channels holds, and a file that
    /// becomes mono has at most what mono can have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u32>,
    /// 1 or 2. Default: 1 if all tracks are mono, else 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// Hertz. Default: 48,000. Opus always has 48,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
}

impl AudioOptions {
    /// Whether no option requires the audio to be encoded.
    pub(crate) fn allows_copy(&self) -> bool {
        *self == Self::default()
    }
}

/// The video codec of a `WebM` file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebmCodec {
    /// VP9.
    #[default]
    Vp9,
    /// AV1: smaller files, slower to encode.
    Av1,
}

/// The format of a file that holds audio alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudioFormat {
    /// MP3.
    #[default]
    Mp3,
    /// Opus in Ogg.
    OggOpus,
    /// 16-bit PCM with the default sample rate of [`Wav`](crate::Wav); RF64 beyond 4 GiB.
    Wav,
}

/// The format of a file that holds video and audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilmFormat {
    /// H.264 and AAC.
    #[default]
    Mp4,
    /// VP9 and Opus.
    Webm,
}

/// The format of a stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StemFormat {
    /// MP3, of an audio track.
    Mp3,
    /// Opus in Ogg, of an audio track.
    OggOpus,
    /// 16-bit PCM, of an audio track.
    Wav,
    /// H.264 or AAC in MP4.
    Mp4,
    /// `WebM`. VP8, VP9, AV1 and Opus are copied; other codecs are encoded as VP9 or Opus.
    Webm,
}

/// The resolution of waveform data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub enum PeakBits {
    /// −128 to 127.
    #[default]
    Eight,
    /// −32,768 to 32,767.
    Sixteen,
}

impl From<PeakBits> for u32 {
    fn from(bits: PeakBits) -> Self {
        match bits {
            PeakBits::Eight => 8,
            PeakBits::Sixteen => 16,
        }
    }
}

impl TryFrom<u32> for PeakBits {
    type Error = String;

    fn try_from(bits: u32) -> Result<Self, String> {
        match bits {
            8 => Ok(Self::Eight),
            16 => Ok(Self::Sixteen),
            _ => Err(format!("must be 8 or 16, not {bits}")),
        }
    }
}

impl JsonSchema for PeakBits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PeakBits".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "enum": [8, 16] })
    }
}

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MediaKind {
    Video,
    Audio,
}
