//! The kinds of renditions.

mod check;

pub use check::BadOption;
pub(crate) use check::WAV_RATES;

use serde::{Deserialize, Serialize};

use crate::{AudioFormat, AudioOptions, FilmFormat, PeakBits, StemFormat, VideoOptions, WebmCodec};

/// What to make of a recording. As JSON: `{"kind": "mp4", "video": {"height": 720}}`; all but `kind` (and the track and
/// format of a stem) may be left out.
///
/// Films that aren't mosaics show the first track of video and play all tracks of audio, mixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rendition {
    /// H.264 and AAC, with the index in front so that playing begins before all is loaded.
    Mp4 {
        /// The picture.
        #[serde(default)]
        video: VideoOptions,
        /// The sound.
        #[serde(default)]
        audio: AudioOptions,
    },
    /// VP9 or AV1, and Opus, with the cues in front.
    Webm {
        /// For the picture.
        #[serde(default)]
        codec: WebmCodec,
        /// The picture.
        #[serde(default)]
        video: VideoOptions,
        /// The sound.
        #[serde(default)]
        audio: AudioOptions,
    },
    /// All sound mixed, as MP3.
    Mp3 {
        /// The sound.
        #[serde(default)]
        audio: AudioOptions,
    },
    /// All sound mixed, as Opus in Ogg.
    OggOpus {
        /// The sound.
        #[serde(default)]
        audio: AudioOptions,
    },
    /// All sound mixed, as 16-bit PCM.
    Wav {
        /// Hertz. Default: the tracks' own rate if all of them are PCM, G.711 or G.722 and have the same, so that the
        /// samples are the very ones; else 48,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sample_rate: Option<u32>,
        /// 1 or 2; default as in [`AudioOptions::channels`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<u8>,
    },
    /// One picture of the first video, as JPEG.
    Thumbnail {
        /// Seconds from the recording's start. Default: a tenth of the way in, at most 10 s.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<f64>,
        /// Pixels; the height follows. Default 640, or the video's own if that is less.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
    },
    /// Pictures of the first video at equal distances, in rows, as JPEG.
    ContactSheet {
        /// Default 4.
        #[serde(default = "four")]
        columns: u32,
        /// Default 4.
        #[serde(default = "four")]
        rows: u32,
        /// Pixels of the whole sheet; default 1,280.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
    },
    /// Peaks of all sound mixed to mono, as JSON in version 2 of audiowaveform's format.
    Waveform {
        /// Pairs of least and greatest value a second. Default 20.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pixels_per_second: Option<u32>,
        /// The same as a number of samples, at 48 kHz. Not both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples_per_pixel: Option<u32>,
        /// Default 8.
        #[serde(default)]
        bits: PeakBits,
    },
    /// All videos in a grid that follows how many of them are active, with all sound mixed.
    Mosaic {
        /// Default MP4.
        #[serde(default)]
        format: FilmFormat,
        /// Pixels of the whole picture; default 1,280.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        /// Pixels of the whole picture; default 720.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        /// Pictures a second, constant; default 30.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame_rate: Option<u32>,
        /// Coding of the picture; size and rate are those above.
        #[serde(default)]
        video: VideoOptions,
        /// The sound.
        #[serde(default)]
        audio: AudioOptions,
    },
    /// All sound mixed, each track at its place in time.
    Mix {
        /// Default MP3.
        #[serde(default)]
        format: AudioFormat,
        /// 1 or 2; default as in [`AudioOptions::channels`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<u8>,
    },
    /// One track alone, on the recording's timeline.
    Stem {
        /// Its place in the file, from 0.
        track: u32,
        /// Sound as any, video as `mp4` or `webm`.
        format: StemFormat,
    },
}

fn four() -> u32 {
    4
}

impl Rendition {
    /// The end of a file's name, without the dot.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Mp4 { .. }
            | Self::Mosaic { format: FilmFormat::Mp4, .. }
            | Self::Stem { format: StemFormat::Mp4, .. } => "mp4",
            Self::Webm { .. }
            | Self::Mosaic { format: FilmFormat::Webm, .. }
            | Self::Stem { format: StemFormat::Webm, .. } => "webm",
            Self::Mp3 { .. }
            | Self::Mix { format: AudioFormat::Mp3, .. }
            | Self::Stem { format: StemFormat::Mp3, .. } => "mp3",
            Self::OggOpus { .. }
            | Self::Mix { format: AudioFormat::OggOpus, .. }
            | Self::Stem { format: StemFormat::OggOpus, .. } => "ogg",
            Self::Wav { .. }
            | Self::Mix { format: AudioFormat::Wav, .. }
            | Self::Stem { format: StemFormat::Wav, .. } => "wav",
            Self::Thumbnail { .. } | Self::ContactSheet { .. } => "jpg",
            Self::Waveform { .. } => "json",
        }
    }

    /// For HTTP. A stem in MP4 or `WebM` is called video even if it holds sound alone, as players accept that.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.extension() {
            "mp4" => "video/mp4",
            "webm" => "video/webm",
            "mp3" => "audio/mpeg",
            "ogg" => "audio/ogg",
            "wav" => "audio/wav",
            "jpg" => "image/jpeg",
            _ => "application/json",
        }
    }

    /// Whether it can be made while its recording still grows: sound alone, of all tracks. See [`Follow`](crate::Follow).
    #[must_use]
    pub fn can_follow(&self) -> bool {
        self.sound().is_some()
    }

    /// Format and coding of a file of all sound.
    pub(crate) fn sound(&self) -> Option<(AudioFormat, AudioOptions)> {
        match self {
            Self::Mp3 { audio } => Some((AudioFormat::Mp3, audio.clone())),
            Self::OggOpus { audio } => Some((AudioFormat::OggOpus, audio.clone())),
            Self::Wav { sample_rate, channels } => {
                let (sample_rate, channels) = (*sample_rate, *channels);
                Some((AudioFormat::Wav, AudioOptions { sample_rate, channels, ..AudioOptions::default() }))
            }
            Self::Mix { format, channels } => {
                Some((*format, AudioOptions { channels: *channels, ..AudioOptions::default() }))
            }
            _ => None,
        }
    }

    /// What `kind` says in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mp4 { .. } => "mp4",
            Self::Webm { .. } => "webm",
            Self::Mp3 { .. } => "mp3",
            Self::OggOpus { .. } => "ogg_opus",
            Self::Wav { .. } => "wav",
            Self::Thumbnail { .. } => "thumbnail",
            Self::ContactSheet { .. } => "contact_sheet",
            Self::Waveform { .. } => "waveform",
            Self::Mosaic { .. } => "mosaic",
            Self::Mix { .. } => "mix",
            Self::Stem { .. } => "stem",
        }
    }
}
