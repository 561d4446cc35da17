//! All video tracks in a grid.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::{SIDE, check_audio, check_video, within},
    parameters::{About, FileType, Needs, Parameters},
};
use crate::{
    AudioOptions, BadOption, FilmFormat, MediaKind, TranscodeError, VideoOptions,
    progress::Meter,
    render::{Grid, Made, Pipeline},
    sink::{Container, PictureCodec, SoundCodec},
};

/// All video tracks in a grid that follows how many of them are active, with the mix of all audio tracks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mosaic {
    /// The file's format.
    pub format: FilmFormat,
    /// Pixels of the whole picture; default 1,280.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels of the whole picture; default 720.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Frames a second, constant; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u32>,
    /// How video is encoded. Size and frame rate are those above.
    pub video: VideoOptions,
    /// How audio is encoded.
    pub audio: AudioOptions,
}

impl Mosaic {
    pub(super) const ABOUT: About = About {
        summary: "all video tracks in a grid that follows how many are active, and the mix of all audio tracks",
        files: &[FileType::Mp4, FileType::Webm],
        needs: Needs::Track(MediaKind::Video),
        while_recording: false,
    };

    fn codecs(&self) -> (Container, PictureCodec, SoundCodec) {
        match self.format {
            FilmFormat::Mp4 => (Container::Mp4, PictureCodec::H264, SoundCodec::Aac),
            FilmFormat::Webm => (Container::Webm, PictureCodec::Vp9, SoundCodec::Opus),
        }
    }
}

impl Parameters for Mosaic {
    fn check(&self) -> Result<(), BadOption> {
        within("width", self.width, SIDE)?;
        within("height", self.height, SIDE)?;
        within("frame_rate", self.frame_rate, 1..=60)?;
        let video = &self.video;
        if video.width.or(video.height).or(video.frame_rate).is_some() {
            return Err(BadOption::new("video", "of a mosaic has no size and no frame rate of its own"));
        }
        let (_, video_codec, audio_codec) = self.codecs();
        check_video(video, video_codec)?;
        check_audio(&self.audio, audio_codec)
    }

    fn file_type(&self) -> FileType {
        match self.format {
            FilmFormat::Mp4 => FileType::Mp4,
            FilmFormat::Webm => FileType::Webm,
        }
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        let grid = Grid::new(self.width, self.height, self.frame_rate);
        let (container, codec, _) = self.codecs();
        pipeline.mosaic((container, codec), grid, &self.video, &self.audio, meter)
    }
}
