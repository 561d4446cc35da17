//! A plan and its result.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Rendition, seconds};

/// One rendition of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// A local file: the recorder's `WebM` or Matroska, or MP4, Ogg, WAV, MP3. It isn't changed.
    pub input: PathBuf,
    /// The path of the rendition. An existing file is replaced. The rendition is written as `<output>.part` and renamed
    /// when it is complete, so that a file with this name is always complete.
    pub output: PathBuf,
    /// The rendition.
    pub rendition: Rendition,
}

/// The progress of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 1; never decreases.
    pub fraction: f32,
    /// Seconds of media processed in a second.
    pub speed: f32,
    /// Estimate of the remaining time; `None` until there is one.
    #[serde(with = "seconds::optional")]
    pub remaining: Option<Duration>,
}

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
