//! A plan: one rendition of one file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Rendition;

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
