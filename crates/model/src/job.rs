//! Jobs: durable background work on a recording.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, NodeId, RecordingId, RenditionId, TenantId, named::named};

named! {
    /// What a job does.
    JobKind, "job kind" {
        /// Uploads the finalized file to the object store and verifies it there.
        Upload = "UPLOAD",
        /// Removes the local copy of a file that was verified in the object store.
        CleanUp = "CLEAN_UP",
        /// Renders a rendition and uploads it.
        Render = "RENDER",
        /// Removes the files of a deleted recording or rendition from the object store, or from its node's disk.
        Delete = "DELETE",
    }
}
named! {
    /// The state of a job.
    JobState, "job state" {
        /// Waiting for a worker.
        Queued = "QUEUED",
        /// Leased by a worker.
        InProgress = "IN_PROGRESS",
        /// Done.
        Done = "DONE",
        /// Failed. It runs again at `run_at`.
        Failed = "FAILED",
        /// Not retried any more. The job and its media remain for a person; `RetryJob` resumes it.
        Parked = "PARKED",
        /// Ended before it was done: a caller cancelled or deleted it, or another job replaced it.
        Cancelled = "CANCELLED",
    }
}

impl JobKind {
    /// Whether a caller may cancel the job. The other kinds are promised: the media will be stored, or removed.
    #[must_use]
    pub fn can_be_cancelled(self) -> bool {
        self == Self::Render
    }
}

impl JobState {
    /// Whether the job never runs again unless a caller retries it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Parked | Self::Cancelled)
    }
}

/// The progress of a running job.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The part that is done, from 0 to 1.
    pub fraction: f64,
    /// Seconds of media per second of work; 0 if unknown.
    pub speed: f64,
    /// The time until the job will be done; none if unknown.
    pub remaining: Option<Duration>,
}

/// A job: durable background work on a recording. Workers lease jobs from the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The recording that it works on.
    pub recording: RecordingId,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The rendition that it renders or removes; none for a job on the recording itself.
    pub rendition: Option<RenditionId>,
    /// The work to do.
    pub kind: JobKind,
    /// Its state.
    pub state: JobState,
    /// The only node that can run it; none if any node can.
    pub node: Option<NodeId>,
    /// Number of runs: failed, succeeded, and the present one. A run that a shutdown, a crash or a lost lease ended is not
    /// counted.
    pub attempts: u32,
    /// The job is due at this time.
    pub run_at: DateTime<Utc>,
    /// The error of the last run, for a person.
    pub error: Option<String>,
    /// The progress of the last run; none if it reported none.
    pub progress: Option<Progress>,
    /// When it was inserted.
    pub created_at: DateTime<Utc>,
    /// When its last counted run began; none before the first.
    pub started_at: Option<DateTime<Utc>>,
    /// When that run ended, or the job was cancelled; none while the job runs.
    pub ended_at: Option<DateTime<Utc>>,
}
