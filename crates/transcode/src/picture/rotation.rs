//! The rotation that makes video upright.

/// The clockwise rotation that makes the coded picture upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rotation {
    #[default]
    None,
    Clockwise90,
    UpsideDown,
    Clockwise270,
}

impl Rotation {
    /// From degrees, to the nearest quarter turn.
    pub(crate) fn clockwise(degrees: f64) -> Self {
        match (degrees / 90.0).round().rem_euclid(4.0) as u8 {
            1 => Self::Clockwise90,
            2 => Self::UpsideDown,
            3 => Self::Clockwise270,
            _ => Self::None,
        }
    }

    /// Width and height after the rotation.
    pub(crate) fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::None | Self::UpsideDown => (width, height),
            Self::Clockwise90 | Self::Clockwise270 => (height, width),
        }
    }

    /// The display matrix of MP4 (ISO/IEC 14496-12 §6.2.2): 16.16 fixed point, the last column 2.30.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_and_the_rotation_it_was_made_of_agree() {
        let all = [Rotation::None, Rotation::Clockwise90, Rotation::UpsideDown, Rotation::Clockwise270];
        for (quarter, rotation) in all.into_iter().enumerate() {
            let matrix = rotation.display_matrix().map(f64::from);
            assert_eq!(Rotation::clockwise(matrix[1].atan2(matrix[0]).to_degrees()), rotation);
            assert_eq!(Rotation::clockwise(quarter as f64 * 90.0 - 360.0), rotation);
        }
    }
}
