//! What goes in and what comes out.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Rendition, seconds};

/// One rendition of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// A local file that libav can read: the recorder's `WebM` or Matroska; also MP4, Ogg, WAV, MP3. It isn't changed.
    pub input: PathBuf,
    /// Where the rendition goes; replaced if it exists. It is written beside as `<output>.part` and renamed when it is
    /// whole, so that a file of this name is always a whole one.
    pub output: PathBuf,
    /// What to make.
    pub rendition: Rendition,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 1; never falls.
    pub fraction: f32,
    /// Seconds of media done in a second.
    pub speed: f32,
    /// An estimate, once there is one.
    #[serde(with = "seconds::optional")]
    pub remaining: Option<Duration>,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Produced {
    /// Size of the output file.
    pub bytes: u64,
    /// From time 0 to the end of the last frame; zero for a picture.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// Pixels; 0 if there is no picture.
    pub width: u32,
    /// Pixels; 0 if there is no picture.
    pub height: u32,
}
