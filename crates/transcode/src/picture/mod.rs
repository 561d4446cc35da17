//! Scales, rotates and composes pictures, all in planar 4:2:0 with 8 bits.

mod colour;
mod fit;
mod paint;
mod rotation;

pub(crate) use colour::Colour;
pub(crate) use fit::{Fit, inside};
pub(crate) use paint::{blank, paint};
pub(crate) use rotation::Rotation;
