//! The colour description of a picture.

use ffmpeg_next::{
    color::{Primaries, Space, TransferCharacteristic},
    frame,
};

use crate::libav::ffi;

/// Matrix, primaries and transfer characteristic (ISO/IEC 23091-2 §8). The range is in the pixel format, see
/// [`PictureSource`](crate::source::PictureSource).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    /// The matrix coefficients.
    pub(crate) space: Space,
    pub(crate) primaries: Primaries,
    pub(crate) transfer: TransferCharacteristic,
}

impl Default for Colour {
    fn default() -> Self {
        Self {
            space: Space::Unspecified,
            primaries: Primaries::Unspecified,
            transfer: TransferCharacteristic::Unspecified,
        }
    }
}

impl Colour {
    /// Values that are unknown, or have no meaning for 4:2:0, become unspecified.
    pub(crate) fn of(picture: &frame::Video) -> Self {
        // A damaged stream can have any number, and the getters must not be called for unknown ones.
        let [space, primaries, transfer] = ffi::colour_numbers(picture);
        let mut colour = Self::default();
        if matches!(space, 1 | 4..=14) {
            colour.space = picture.color_space();
        }
        if matches!(primaries, 1 | 4..=12 | 22) {
            colour.primaries = picture.color_primaries();
        }
        if matches!(transfer, 1 | 4..=18) {
            colour.transfer = picture.color_transfer_characteristic();
        }
        colour
    }
}
