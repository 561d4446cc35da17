//! One picture of the first video track.

use ffmpeg_next::format::Pixel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::{SIDE, within},
    parameters::{About, FileType, Needs, Parameters},
    still::{first_video, pictures_at, write_jpeg},
};
use crate::{
    BadOption, MediaKind, TranscodeError, libav,
    picture::{Fit, inside},
    progress::Meter,
    render::{Made, Pipeline},
    time::Time,
};

/// A tall picture isn't made smaller for its height.
const MAX_HEIGHT: u32 = 16_384;

/// One picture of the first video track, as JPEG.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thumbnail {
    /// Seconds from the start of the recording. Default: a tenth of its duration, at most 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Pixels; the height follows. Default: 640, or the width of the video if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
}

impl Thumbnail {
    pub(super) const ABOUT: About = About {
        summary: "one picture of the first video track",
        files: &[FileType::Jpeg],
        needs: Needs::Track(MediaKind::Video),
        while_recording: false,
    };
}

impl Parameters for Thumbnail {
    fn check(&self) -> Result<(), BadOption> {
        if self.at.is_some_and(|at| !(0.0..=1e6).contains(&at)) {
            return Err(BadOption::new("at", "must be a number of seconds, 0 or more"));
        }
        within("width", self.width, 16..=*SIDE.end())
    }

    fn file_type(&self) -> FileType {
        FileType::Jpeg
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        let (track, natural) = first_video(pipeline, meter)?;
        let early = (track.end().seconds() / 10.0).min(10.0);
        let at = Time::from_seconds(self.at.unwrap_or(early));
        let width = self.width.unwrap_or_else(|| natural.0.min(640)) / 2 * 2;
        let size = inside(natural, (width, MAX_HEIGHT));
        let mut fit = Fit::new(size, track.rotation, Pixel::YUVJ420P);
        let mut made =
            Err(TranscodeError::Unreadable { detail: libav::with_log("no picture can be decoded") });
        pictures_at(pipeline, track, &[at], meter, &mut |_, picture| {
            made = fit.fit_copy(picture);
            Ok(())
        })?;
        write_jpeg(&made?, pipeline.output)?;
        Ok(Made { end: Time::ZERO, size })
    }
}
