//! What a server and its worker tell each other: one line of JSON each.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Follow, Plan, Produced, Progress, Segment, TranscodeError, seconds};

/// The subcommand that runs [`worker_main`](crate::worker_main).
pub(super) const SUBCOMMAND: &str = "transcode-worker";
/// Longest line that either side takes, in bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// What a child may take of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Added to the server's own niceness, so that live recordings come first. Default 10.
    pub nice: i32,
    /// Address space. Beyond it codecs fail with [`TranscodeError::OutOfMemory`] or crash, which is
    /// [`TranscodeError::Killed`]. Default 2 GiB; AV1 of large pictures may need more.
    pub memory_bytes: Option<u64>,
    /// Processor time, of all threads together. Default: no limit.
    #[serde(with = "seconds::optional")]
    pub cpu: Option<Duration>,
    /// Time by the clock, after which it is killed: [`TranscodeError::TimedOut`]. Default 12 hours, so that nothing
    /// ever hangs for good.
    #[serde(with = "seconds::optional")]
    pub wall: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nice: 10, memory_bytes: Some(2 << 30), cpu: None, wall: Some(Duration::from_secs(12 * 3_600)) }
    }
}

/// From the server, as the first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    #[serde(flatten)]
    pub(super) work: Work,
    pub(super) limits: Limits,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    /// Nothing more is said.
    Plan(Plan),
    /// Any number of [`Word`]s follow.
    Follow(Follow),
}

/// From the server to a worker that follows a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// So many bytes of the file are final.
    Until(u64),
    /// The file is whole: the last word.
    End { bytes: u64, output: PathBuf },
}

/// From the worker: any number of the first two, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Progress(Progress),
    Segment(Segment),
    Produced(Produced),
    Failed(TranscodeError),
}
