//! The result of a plan.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::seconds;

/// The result of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Produced {
    /// Size of the output file.
    pub bytes: u64,
    /// From time 0 to the end of the last frame; zero for a picture.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// Pixels; 0 without video or picture.
    pub width: u32,
    /// Pixels; 0 without video or picture.
    pub height: u32,
}
