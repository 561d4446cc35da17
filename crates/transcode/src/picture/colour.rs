//! What the numbers of a picture mean.

use ffmpeg_next::{
    color::{Primaries, Space, TransferCharacteristic},
    frame,
};

use crate::libav::ffi;

/// How colours are coded, apart from their range, which [`PictureSource`](crate::source::PictureSource) tells by the pixel
/// format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    /// Which matrix makes them of red, green and blue.
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
    /// What isn't known, or means nothing for 4:2:0, is left unspecified.
    pub(crate) fn of(picture: &frame::Video) -> Self {
        // A damaged stream can have any number, which the getters must not see.
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
