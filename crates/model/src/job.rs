//! Work that remains to be done on a recording.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, NodeId, RecordingId, TenantId, recording::named};

named! {
    /// What a job does.
    JobKind, "job kind" {
        /// Bring the sealed file into the object store and verify it there.
        Upload = "UPLOAD",
        /// Remove the local copy of a file that has been verified in the object store.
        CleanUp = "CLEAN_UP",
    }
}
named! {
    /// How far a job has come.
    JobState, "job state" {
        /// Waiting for a worker.
        Queued = "QUEUED",
        /// Leased by a worker.
        InProgress = "IN_PROGRESS",
        /// Done.
        Done = "DONE",
        /// Failed; will be tried again.
        Failed = "FAILED",
        /// Given up; kept for a person, with its media.
        Parked = "PARKED",
    }
}

impl JobKind {
    /// Whether only the node that received the recording can run it, because the file is on that node's disk.
    #[must_use]
    pub fn is_bound_to_node(self) -> bool {
        match self {
            Self::Upload | Self::CleanUp => true,
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The recording that it is about.
    pub recording: RecordingId,
    /// Whose recording it is.
    pub tenant: TenantId,
    /// What it does.
    pub kind: JobKind,
    /// How far it has come.
    pub state: JobState,
    /// The only node that can run it; none where any can.
    pub node: Option<NodeId>,
    /// Runs that were begun.
    pub attempts: u32,
    /// Not to be run before this.
    pub run_at: DateTime<Utc>,
    /// What went wrong in the last run.
    pub error: Option<String>,
}
