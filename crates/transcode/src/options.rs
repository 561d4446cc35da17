//! Parameters of renditions. All are optional; unknown ones are refused.

use serde::{Deserialize, Serialize};

/// How the picture is coded. With none of these given, a track whose codec already fits is copied as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VideoOptions {
    /// Pixels. With `height` the picture is fitted into the box, with black bars where the shapes differ; alone, the
    /// other side follows. Default: the largest size that the track has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels; see `width`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// At most so many pictures a second, on average; what is slower is left as it is. Default: every picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u32>,
    /// Bits a second, on average, from 10,000 to 200,000,000; of AV1 to 100,000,000. Default: constant quality, see `crf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u32>,
    /// Quality: lower is better and larger. H.264: 1–51, default 23. VP9: 0–63, default 33. AV1: 1–63,
    /// default 35.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u8>,
    /// Time against size. Default: `veryfast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

impl VideoOptions {
    /// Whether nothing was asked for that needs the picture to be coded again.
    pub(crate) fn allows_copy(&self) -> bool {
        *self == Self::default()
    }
}

/// How hard the encoder tries, in the words of x264; VP9 and AV1 have steps of the same meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// How the sound is coded. With none of these given, a single track whose codec already fits is copied as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioOptions {
    /// Bits a second. Default: 64,000 a channel for Opus and AAC, 80,000 for MP3. MP3: 32,000 to 320,000, below 32 kHz 8,000
    /// to 160,000, of which the nearest step is taken; Opus: 8,000 to 256,000 a channel; AAC: 8,000 to 6 bits a sample, at
    /// most 512,000. Without `channels` the ends are those of two; a mono file has no more than it can have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u32>,
    /// 1 or 2. Default: 1 if all tracks are mono, else 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// Hertz. Default: 48,000. Opus is always at 48,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
}

impl AudioOptions {
    pub(crate) fn allows_copy(&self) -> bool {
        *self == Self::default()
    }
}

/// What a `WebM` file's picture is coded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebmCodec {
    /// VP9.
    #[default]
    Vp9,
    /// AV1: smaller and slower.
    Av1,
}

/// A file of sound alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioFormat {
    /// MP3.
    #[default]
    Mp3,
    /// Opus in Ogg.
    OggOpus,
    /// 16-bit PCM, at the rate that is [`Rendition::Wav`](crate::Rendition::Wav)'s default; RF64 beyond 4 GiB.
    Wav,
}

/// A file of picture and sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilmFormat {
    /// H.264 and AAC.
    #[default]
    Mp4,
    /// VP9 and Opus.
    Webm,
}

/// What a stem is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StemFormat {
    /// MP3; of a track of sound.
    Mp3,
    /// Opus in Ogg; of a track of sound.
    OggOpus,
    /// 16-bit PCM; of a track of sound.
    Wav,
    /// H.264 or AAC in MP4.
    Mp4,
    /// In `WebM`: VP8, VP9, AV1 and Opus as they are, else coded as VP9 or Opus.
    Webm,
}

/// Resolution of waveform data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum PeakBits {
    /// −128 to 127.
    #[default]
    Eight,
    /// −32,768 to 32,767.
    Sixteen,
}

impl From<PeakBits> for u8 {
    fn from(bits: PeakBits) -> Self {
        match bits {
            PeakBits::Eight => 8,
            PeakBits::Sixteen => 16,
        }
    }
}

impl TryFrom<u8> for PeakBits {
    type Error = String;

    fn try_from(bits: u8) -> Result<Self, String> {
        match bits {
            8 => Ok(Self::Eight),
            16 => Ok(Self::Sixteen),
            _ => Err(format!("bits must be 8 or 16, not {bits}")),
        }
    }
}
