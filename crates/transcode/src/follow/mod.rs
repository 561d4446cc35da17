//! Renditions of recordings that are still open.

mod join;
mod segments;

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use segments::follow;

use crate::{BadOption, Produced, Rendition, Segment, seconds};

/// An open file, and the rendition to make of it while it is written.
///
/// One decoder, one mixer and one encoder run from the start of the file to its end. The packets of the encoder are cut
/// into segments. The joined segments equal, byte for byte, the file that [`run()`](crate::run()) makes of the finalized
/// recording, with one exception: [`run()`](crate::run()) copies a single track of Opus without gaps into Ogg, while a
/// follower encodes it. Following ends with [`CantFollow`](crate::TranscodeError::CantFollow) where the files would differ:
/// if a declared track without media has another sample rate or more channels, and if the recording ends with a jump in
/// time that nothing in it confirms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// The recorder's `WebM` or Matroska. It is opened once and may be renamed. Only the tracks that its header declares at
    /// the start are read: when a track joins, a new follower must be started.
    pub input: PathBuf,
    /// An empty directory for the segments. They aren't synced to disk. The caller removes them.
    pub segments: PathBuf,
    /// The rendition; see [`RenditionKind::while_recording`](crate::RenditionKind::while_recording).
    pub rendition: Rendition,
    /// The duration of a segment, 1 s to 1 h.
    #[serde(with = "seconds")]
    pub interval: Duration,
}

impl Follow {
    pub(crate) fn check(&self) -> Result<(), BadOption> {
        if !self.rendition.kind().while_recording() {
            let reason = format!("can't be {} while the recording is open", self.rendition.kind());
            return Err(BadOption::new("kind", reason));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&self.interval) {
            return Err(BadOption::new(
                "interval",
                format!("must be from 1 s to 1 h, not {:?}", self.interval),
            ));
        }
        self.rendition.check()
    }
}

/// A result of a [`Follower`](crate::Follower).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next segment is complete.
    Segment(Segment),
    /// The joined file is complete. The last result.
    Produced(Produced),
}
