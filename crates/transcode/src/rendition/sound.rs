//! The mix of all audio tracks in one file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::{CHANNELS, check_audio, within},
    parameters::{About, FileType, Needs, Parameters},
};
use crate::{
    AudioFormat, AudioOptions, BadOption, MediaKind, TranscodeError,
    progress::Meter,
    render::{Made, Pipeline},
    sink::{SoundCodec, WAV_RATES},
};

/// The mix of all audio tracks, as MP3.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mp3 {
    /// How audio is encoded.
    pub audio: AudioOptions,
}

impl Mp3 {
    pub(super) const ABOUT: About = About {
        summary: "the mix of all audio tracks",
        files: &[FileType::Mp3],
        needs: Needs::Track(MediaKind::Audio),
        while_recording: true,
    };
}

impl Parameters for Mp3 {
    fn check(&self) -> Result<(), BadOption> {
        check_audio(&self.audio, SoundCodec::Mp3)
    }

    fn file_type(&self) -> FileType {
        FileType::Mp3
    }

    fn audio_of_all(&self) -> Option<(AudioFormat, AudioOptions)> {
        Some((AudioFormat::Mp3, self.audio.clone()))
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        pipeline.sound(AudioFormat::Mp3, &self.audio, None, meter)
    }
}

/// The mix of all audio tracks, as Opus in Ogg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OggOpus {
    /// How audio is encoded.
    pub audio: AudioOptions,
}

impl OggOpus {
    pub(super) const ABOUT: About = About {
        summary: "the mix of all audio tracks",
        files: &[FileType::Ogg],
        needs: Needs::Track(MediaKind::Audio),
        while_recording: true,
    };
}

impl Parameters for OggOpus {
    fn check(&self) -> Result<(), BadOption> {
        check_audio(&self.audio, SoundCodec::Opus)
    }

    fn file_type(&self) -> FileType {
        FileType::Ogg
    }

    fn audio_of_all(&self) -> Option<(AudioFormat, AudioOptions)> {
        Some((AudioFormat::OggOpus, self.audio.clone()))
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        pipeline.sound(AudioFormat::OggOpus, &self.audio, None, meter)
    }
}

/// The mix of all audio tracks, as 16-bit PCM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wav {
    /// Hertz. Default: the tracks' own rate if all of them are PCM, G.711 or G.722 of one rate, so that their samples are
    /// not resampled; else 48,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// 1 or 2. Default: 1 if all tracks are mono, else 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
}

impl Wav {
    pub(super) const ABOUT: About = About {
        summary: "the mix of all audio tracks, 16-bit PCM; RF64 beyond 4 GiB",
        files: &[FileType::Wav],
        needs: Needs::Track(MediaKind::Audio),
        while_recording: true,
    };

    fn audio(&self) -> AudioOptions {
        AudioOptions { sample_rate: self.sample_rate, channels: self.channels, ..AudioOptions::default() }
    }
}

impl Parameters for Wav {
    fn check(&self) -> Result<(), BadOption> {
        within("sample_rate", self.sample_rate, WAV_RATES)?;
        within("channels", self.channels, CHANNELS)
    }

    fn file_type(&self) -> FileType {
        FileType::Wav
    }

    fn audio_of_all(&self) -> Option<(AudioFormat, AudioOptions)> {
        Some((AudioFormat::Wav, self.audio()))
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        pipeline.sound(AudioFormat::Wav, &self.audio(), None, meter)
    }
}

/// The mix of all audio tracks in a format of choice, with default encoding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// The file's format.
    pub format: AudioFormat,
    /// 1 or 2. Default: 1 if all tracks are mono, else 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
}

impl Mix {
    pub(super) const ABOUT: About = About {
        summary: "the mix of all audio tracks, in a format of choice",
        files: &[FileType::Mp3, FileType::Ogg, FileType::Wav],
        needs: Needs::Track(MediaKind::Audio),
        while_recording: true,
    };

    fn audio(&self) -> AudioOptions {
        AudioOptions { channels: self.channels, ..AudioOptions::default() }
    }
}

impl Parameters for Mix {
    fn check(&self) -> Result<(), BadOption> {
        within("channels", self.channels, CHANNELS)
    }

    fn file_type(&self) -> FileType {
        self.format.into()
    }

    fn audio_of_all(&self) -> Option<(AudioFormat, AudioOptions)> {
        Some((self.format, self.audio()))
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        pipeline.sound(self.format, &self.audio(), None, meter)
    }
}
