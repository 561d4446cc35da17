//! Pictures of the first video track at equal distances, in rows.

use ffmpeg_next::format::Pixel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::{SIDE, within},
    parameters::{About, FileType, Needs, Parameters},
    still::{first_video, pictures_at, write_jpeg},
};
use crate::{
    BadOption, MediaKind, TranscodeError,
    picture::{Fit, blank, inside, paint},
    progress::Meter,
    render::{Made, Pipeline},
    time::Time,
};

/// Pictures of the first video track at equal distances, in rows, as JPEG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContactSheet {
    /// Pictures in a row, 1 to 20.
    pub columns: u32,
    /// Rows of pictures, 1 to 20.
    pub rows: u32,
    /// Pixels of the whole sheet; default 1,280.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
}

impl Default for ContactSheet {
    fn default() -> Self {
        Self { columns: 4, rows: 4, width: None }
    }
}

impl ContactSheet {
    pub(super) const ABOUT: About = About {
        summary: "pictures of the first video track at equal distances, in rows",
        files: &[FileType::Jpeg],
        needs: Needs::Track(MediaKind::Video),
        while_recording: false,
    };

    fn width(&self) -> u32 {
        self.width.unwrap_or(1_280)
    }

    /// The size of each picture. The sheet stays one that programs can show, whatever the aspect ratio and the number of
    /// pictures are.
    fn cell(&self, natural: (u32, u32)) -> (u32, u32) {
        /// Pixels of a side of a JPEG that libav writes.
        const MAX_SIDE: u32 = 65_500;
        const MAX_PIXELS: f64 = 64e6;
        let wide = self.width() / self.columns / 2 * 2;
        let cell = inside(natural, (wide, (wide * 4).min(MAX_SIDE / self.rows)));
        let pixels = f64::from(cell.0 * self.columns) * f64::from(cell.1 * self.rows);
        let shrink = (MAX_PIXELS / pixels).sqrt().min(1.0);
        let side = |side: u32| (f64::from(side) * shrink) as u32 / 2 * 2;
        inside(natural, (side(cell.0), side(cell.1)))
    }
}

impl Parameters for ContactSheet {
    fn check(&self) -> Result<(), BadOption> {
        within("columns", Some(self.columns), 1..=20)?;
        within("rows", Some(self.rows), 1..=20)?;
        within("width", self.width, SIDE)?;
        // Each picture has at least 16 pixels, whatever its shape.
        within("columns", Some(self.columns), 1..=self.width() / 16)
    }

    fn file_type(&self) -> FileType {
        FileType::Jpeg
    }

    /// The pictures are in the order of their times, from the upper left.
    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        let (track, natural) = first_video(pipeline, meter)?;
        let cell = self.cell(natural);
        let size = (cell.0 * self.columns, cell.1 * self.rows);
        let (start, length) = (track.start().seconds(), (track.end() - track.start()).seconds());
        let count = self.columns * self.rows;
        let middle = |position: u32| (f64::from(position) + 0.5) / f64::from(count);
        let times: Vec<Time> =
            (0..count).map(|position| Time::from_seconds(start + middle(position) * length)).collect();
        let mut fit = Fit::new(cell, track.rotation, Pixel::YUVJ420P);
        let mut sheet = blank(size, Pixel::YUVJ420P)?;
        pictures_at(pipeline, track, &times, meter, &mut |position, picture| {
            let position = position as u32;
            let at = (position % self.columns * cell.0, position / self.columns * cell.1);
            paint(&mut sheet, &fit.fit_copy(picture)?, at);
            Ok(())
        })?;
        write_jpeg(&sheet, pipeline.output)?;
        Ok(Made { end: Time::ZERO, size })
    }
}
