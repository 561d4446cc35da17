//! Jobs and their leases.

use chrono::{DateTime, Utc};
use model::{Job, JobKind, JobState, NodeId, RecordingId, RecordingState};

use crate::RenderedFile;

/// A job to insert.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// The work to do.
    pub kind: JobKind,
    /// The only node that can run it; none if any node can.
    pub node: Option<NodeId>,
    /// When it becomes due.
    pub run_at: DateTime<Utc>,
}

/// A job and the lease on it that one worker holds.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedJob {
    /// The job. Its `attempts` count this run.
    pub job: Job,
    /// The lease's id. Each lease of a job has another.
    pub lease: uuid::Uuid,
    /// When the lease ends, unless it is renewed.
    pub until: DateTime<Utc>,
}

/// How a run of a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOutcome {
    /// The job is DONE. The recording's state and the next jobs are committed in the same transaction.
    Done {
        /// The recording's new state; none: unchanged.
        recording_state: Option<RecordingState>,
        /// Jobs to insert.
        next: Vec<NewJob>,
    },
    /// The job is FAILED and runs again.
    RetryAt {
        /// When it is due again.
        at: DateTime<Utc>,
        /// The reason, for a person.
        error: String,
    },
    /// The job is PARKED and not retried. In the same transaction its rendition becomes PARKED with the error; for a job
    /// without a rendition, its recording does.
    Parked {
        /// The reason, for a person.
        error: String,
    },
    /// The job is DONE, and its rendition AVAILABLE.
    Rendered(RenderedFile),
    /// The job could not run yet. It is QUEUED again, and `attempts` does not count this run.
    Later {
        /// When it is due again.
        at: DateTime<Utc>,
    },
}

/// Conditions of a list of jobs; all must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// The job's recording.
    pub recording: Option<RecordingId>,
    /// The kind.
    pub kind: Option<JobKind>,
    /// The state.
    pub state: Option<JobState>,
}

/// The result of [`Store::cancel`](crate::Store::cancel).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// This call cancelled the job. Its worker is notified by [`Change::Cancelled`](crate::Change::Cancelled).
    Cancelled,
    /// The job was cancelled before.
    AlreadyCancelled,
    /// The job is DONE, or its kind can't be cancelled; nothing was changed.
    Refused(JobState),
}
