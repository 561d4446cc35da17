//! Work that remains to be done on a recording.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, NodeId, RecordingId, RenditionId, TenantId, recording::named};

named! {
    /// What a job does.
    JobKind, "job kind" {
        /// Bring the sealed file into the object store and verify it there.
        Upload = "UPLOAD",
        /// Remove the local copy of a file that has been verified in the object store.
        CleanUp = "CLEAN_UP",
        /// Make a rendition and bring it into the object store.
        Render = "RENDER",
        /// Remove what was deleted from the object store, and from the disk of the node that has it.
        Delete = "DELETE",
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
        /// Ended on request before it was done.
        Cancelled = "CANCELLED",
    }
}

impl JobKind {
    /// Whether a caller may end it early. The others keep a promise: that the media is stored, or that it is gone.
    #[must_use]
    pub fn can_be_cancelled(self) -> bool {
        self == Self::Render
    }
}

impl JobState {
    /// Whether nothing more happens to the job unless somebody asks for it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Parked | Self::Cancelled)
    }
}

/// How far a running job has come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Of the whole, from 0 to 1.
    pub fraction: f64,
    /// Seconds of media in a second of work; zero where it is not known.
    pub speed: f64,
    /// What it will still take; none where it is not known.
    pub remaining: Option<Duration>,
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
    /// The rendition that it makes or removes; none for a job on the recording itself.
    pub rendition: Option<RenditionId>,
    /// What it does.
    pub kind: JobKind,
    /// How far it has come.
    pub state: JobState,
    /// The only node that can run it; none where any can.
    pub node: Option<NodeId>,
    /// Runs that have failed or succeeded, and the one that is under way; those that a shutdown, a crash or a lost lease has
    /// ended don't count.
    pub attempts: u32,
    /// Not to be run before this.
    pub run_at: DateTime<Utc>,
    /// What went wrong in the last run.
    pub error: Option<String>,
    /// How far the last run came; none where nobody has told.
    pub progress: Option<Progress>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its newest run began; none before the first that counts.
    pub started_at: Option<DateTime<Utc>>,
    /// When that run ended, or the job was cancelled; none while it runs.
    pub ended_at: Option<DateTime<Utc>>,
}
