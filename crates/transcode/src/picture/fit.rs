//! Fits pictures into a size, upright.

use ffmpeg_next::{color::Space, format::Pixel, frame, software::scaling};

use super::{Colour, Rotation, blank, paint, paint::turn};
use crate::{TranscodeError, libav};

/// Scales, rotates and letterboxes pictures. Their size can change at any picture.
pub(crate) struct Fit {
    size: (u32, u32),
    rotation: Rotation,
    format: Pixel,
    scaler: Option<scaling::Context>,
    /// Of the scaler's input.
    matrix: Space,
}

impl Fit {
    /// Both sides of `size` are even. `format` is planar 4:2:0, of limited or full range.
    pub(crate) fn new(size: (u32, u32), rotation: Rotation, format: Pixel) -> Self {
        Self { size, rotation, format, scaler: None, matrix: Space::Unspecified }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Returns the picture itself if it already fits.
    pub(crate) fn fit(&mut self, picture: frame::Video) -> Result<frame::Video, TranscodeError> {
        let same = picture.format() == self.format && (picture.width(), picture.height()) == self.size;
        if same && self.rotation == Rotation::None {
            return Ok(picture);
        }
        self.fit_copy(&picture)
    }

    /// The same for a borrowed picture.
    pub(crate) fn fit_copy(&mut self, picture: &frame::Video) -> Result<frame::Video, TranscodeError> {
        let upright = self.rotation.turned((picture.width(), picture.height()));
        let inner = inside(upright, self.size);
        let scaled = self.scale(picture, self.rotation.turned(inner))?;
        let turned = turn(scaled, self.rotation)?;
        if inner == self.size {
            return Ok(turned);
        }
        let mut canvas = blank(self.size, self.format)?;
        let at = ((self.size.0 - inner.0) / 4 * 2, (self.size.1 - inner.1) / 4 * 2);
        paint(&mut canvas, &turned, at);
        Ok(canvas)
    }

    fn scale(&mut self, picture: &frame::Video, to: (u32, u32)) -> Result<frame::Video, TranscodeError> {
        let fail = |error| libav::fail("scaling a picture", error);
        let input = scaling::context::Definition {
            format: picture.format(),
            width: picture.width(),
            height: picture.height(),
        };
        let output = scaling::context::Definition { format: self.format, width: to.0, height: to.1 };
        let fits = |scaler: &scaling::Context| *scaler.input() == input && *scaler.output() == output;
        let matrix = Colour::of(picture).space;
        if matrix != self.matrix || !self.scaler.as_ref().is_some_and(fits) {
            self.scaler = None;
            self.matrix = matrix;
        }
        let scaler = match &mut self.scaler {
            Some(scaler) => scaler,
            none => {
                let mut scaler = scaling::Context::get(
                    input.format,
                    input.width,
                    input.height,
                    output.format,
                    output.width,
                    output.height,
                    scaling::Flags::BICUBIC,
                )
                .map_err(fail)?;
                // JPEG has one matrix only (ITU-T T.871 §7); video streams name theirs.
                if self.format == Pixel::YUVJ420P && matrix != Space::Unspecified && is_yuv(input.format) {
                    libav::ffi::set_matrices(&mut scaler, matrix, Space::BT470BG);
                }
                none.insert(scaler)
            }
        };
        let mut scaled = blank(to, self.format)?;
        scaler.run(picture, &mut scaled).map_err(fail)?;
        Ok(scaled)
    }
}

fn is_yuv(format: Pixel) -> bool {
    use Pixel::{YUV420P, YUV422P, YUV444P, YUVJ420P, YUVJ422P, YUVJ444P};
    matches!(format, YUV420P | YUV422P | YUV444P | YUVJ420P | YUVJ422P | YUVJ444P)
}

/// The largest size within `size` that has the aspect ratio of `picture`. Both sides are even and at least 2.
pub(crate) fn inside(picture: (u32, u32), size: (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(picture.0.max(1)), u64::from(picture.1.max(1)));
    let (most_wide, most_high) = (u64::from(size.0), u64::from(size.1));
    let even = |side: u64, most: u64| {
        // Rounded up, since a bar of one pixel is worse.
        u32::try_from((side.div_ceil(2) * 2).min(most / 2 * 2).max(2)).unwrap_or(2)
    };
    if width * most_high <= height * most_wide {
        (even(width * most_high / height, most_wide), even(most_high, most_high))
    } else {
        (even(most_wide, most_wide), even(height * most_wide / width, most_high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_same_aspect_ratio_within_any_box() {
        for (picture, within, size) in [
            ((640, 360), (640, 360), (640, 360)),
            ((640, 360), (1_280, 720), (1_280, 720)),
            ((360, 640), (640, 360), (202, 360)),
            ((1_280, 720), (320, 320), (320, 180)),
            ((641, 361), (640, 360), (640, 360)),
            ((1, 10_000), (640, 360), (2, 360)),
        ] {
            assert_eq!(inside(picture, within), size, "{picture:?} in {within:?}");
        }
    }
}
