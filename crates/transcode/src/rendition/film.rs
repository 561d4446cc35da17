//! MP4 and `WebM`: the first video track and the mix of all audio tracks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::{check_audio, check_video},
    parameters::{About, FileType, Needs, Parameters},
};
use crate::{
    AudioOptions, BadOption, TranscodeError, VideoOptions, WebmCodec,
    progress::Meter,
    render::{Made, Pipeline},
    sink::{Container, PictureCodec, SoundCodec},
};

/// H.264 and AAC in MP4, with the index in front, so that playback begins before all is loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mp4 {
    /// How video is encoded.
    pub video: VideoOptions,
    /// How audio is encoded.
    pub audio: AudioOptions,
}

impl Mp4 {
    pub(super) const ABOUT: About = About {
        summary: "the first video track and the mix of all audio tracks; H.264 and AAC, index in front",
        files: &[FileType::Mp4],
        needs: Needs::AnyTrack,
        while_recording: false,
    };
}

impl Parameters for Mp4 {
    fn check(&self) -> Result<(), BadOption> {
        check_video(&self.video, PictureCodec::H264)?;
        check_audio(&self.audio, SoundCodec::Aac)
    }

    fn file_type(&self) -> FileType {
        FileType::Mp4
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        pipeline.film(Container::Mp4, PictureCodec::H264, &self.video, &self.audio, None, meter)
    }
}

/// VP9 or AV1, and Opus, in `WebM`, with the cues in front.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webm {
    /// The video codec.
    pub codec: WebmCodec,
    /// How video is encoded.
    pub video: VideoOptions,
    /// How audio is encoded.
    pub audio: AudioOptions,
}

impl Webm {
    pub(super) const ABOUT: About = About {
        summary: "the first video track and the mix of all audio tracks; VP9 or AV1, and Opus, cues in front",
        files: &[FileType::Webm],
        needs: Needs::AnyTrack,
        while_recording: false,
    };

    fn video_codec(&self) -> PictureCodec {
        match self.codec {
            WebmCodec::Vp9 => PictureCodec::Vp9,
            WebmCodec::Av1 => PictureCodec::Av1,
        }
    }
}

impl Parameters for Webm {
    fn check(&self) -> Result<(), BadOption> {
        check_video(&self.video, self.video_codec())?;
        check_audio(&self.audio, SoundCodec::Opus)
    }

    fn file_type(&self) -> FileType {
        FileType::Webm
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        pipeline.film(Container::Webm, self.video_codec(), &self.video, &self.audio, None, meter)
    }
}
