//! One interval of a rendition of an open file.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::seconds;

/// The frames that begin within one interval, as a Matroska file that can be played alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From 0, without gaps.
    pub number: u32,
    /// The file.
    pub path: PathBuf,
    /// On the recording's timeline. A segment starts where the one before it ends.
    #[serde(with = "seconds")]
    pub start: Duration,
    /// A whole number of frames, so a little more or less than the interval.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// The size of the file.
    pub bytes: u64,
}
