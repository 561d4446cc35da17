//! The protocol of a server and its worker: lines of JSON.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::events::ChildEvent;
use crate::{Follow, Plan, Produced, Progress, Segment, TranscodeError, seconds};

/// The subcommand that runs [`worker_main`](crate::worker_main).
pub(super) const SUBCOMMAND: &str = "transcode-worker";
/// The longest line that either side accepts, in bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// The resources that a child may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Added to the niceness of the server, so that live recordings have priority. Default 10.
    pub nice: i32,
    /// Address space. Beyond it codecs fail with [`TranscodeError::OutOfMemory`] or crash
    /// ([`TranscodeError::Killed`]). Default 2 GiB. AV1 of large video can need more.
    pub memory_bytes: Option<u64>,
    /// CPU time of all threads together. Default: no limit.
    #[serde(with = "seconds::optional")]
    pub cpu: Option<Duration>,
    /// Wall time after which the child is killed: [`TranscodeError::TimedOut`]. Default 12 hours, so that no job hangs
    /// forever.
    #[serde(with = "seconds::optional")]
    pub wall: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nice: 10, memory_bytes: Some(2 << 30), cpu: None, wall: Some(Duration::from_secs(12 * 3_600)) }
    }
}

/// The first line of the server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    #[serde(flatten)]
    pub(super) work: Work,
    pub(super) limits: Limits,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    /// No line follows.
    Plan(Plan),
    /// Any number of [`Message`]s follow.
    Follow(Follow),
}

/// A line of the server to a worker that follows a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The number of final bytes of the file.
    Until(u64),
    /// The file is complete. The last message.
    End { bytes: u64, output: PathBuf },
}

/// A line of the worker: any number of the first three, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Event(ChildEvent),
    Progress(Progress),
    Segment(Segment),
    Produced(Produced),
    Failed(TranscodeError),
}
