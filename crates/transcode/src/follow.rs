//! Following a recording while it is made.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{BadOption, Produced, Rendition, seconds};

/// A file that still grows, and what to make of it meanwhile.
///
/// One decoder, one mixer and one encoder run from its beginning to its end; the encoder's packets are cut into
/// segments. Joined, they are byte for byte the file that [`run()`](crate::run()) makes of the sealed recording, with one
/// exception: where [`run()`](crate::run()) would copy a single track of continuous Opus into Ogg, a follower codes it
/// again. Where the joined file would not be that one, because a track without sound was declared that has another rate or
/// more channels, or because the recording ends with a jump in time which nothing in it confirms, following ends with
/// [`CantFollow`](crate::TranscodeError::CantFollow).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// The recorder's `WebM` or Matroska. It is opened once and may be renamed. Its tracks are those that its header
    /// declares when following begins: when one joins, a new follower must begin.
    pub input: PathBuf,
    /// An empty directory for the segments. They aren't synced to disk, and stay until someone removes them.
    pub segments: PathBuf,
    /// What to make; see [`Rendition::can_follow`].
    pub rendition: Rendition,
    /// Length of a segment, from 1 s to 1 h.
    #[serde(with = "seconds")]
    pub interval: Duration,
}

impl Follow {
    pub(crate) fn check(&self) -> Result<(), BadOption> {
        if !self.rendition.can_follow() {
            let reason = format!("can't be {} while the recording grows", self.rendition.name());
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

/// What a [`Follower`](crate::Follower) has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next segment is whole.
    Segment(Segment),
    /// All segments were joined; nothing follows.
    Produced(Produced),
}

/// The frames that begin within one interval, as a Matroska file that plays by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From 0, without holes.
    pub number: u32,
    /// The file.
    pub path: PathBuf,
    /// On the recording's timeline; a segment begins where the one before ends.
    #[serde(with = "seconds")]
    pub start: Duration,
    /// Whole frames, so a little more or less than the interval.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// Size of the file.
    pub bytes: u64,
}
