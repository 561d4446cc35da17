//! Jobs and their leases.

use chrono::{DateTime, Utc};
use model::{Job, JobKind, JobState, NodeId, RecordingId, RecordingState};

use crate::RenderedFile;

/// A job to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// The only node that can run it; none where any can.
    pub node: Option<NodeId>,
    /// Not before this.
    pub run_at: DateTime<Utc>,
}

/// A job that a worker has for the time of its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedJob {
    /// The job, `attempts` counting this run.
    pub job: Job,
    /// Tells this lease from any other of the same job.
    pub lease: uuid::Uuid,
    /// When it ends unless it is renewed.
    pub until: DateTime<Utc>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOutcome {
    /// Done: the recording's state (where given) and the next jobs are written in the same transaction.
    Done {
        /// The recording's new state.
        recording_state: Option<RecordingState>,
        /// What comes next.
        next: Vec<NewJob>,
    },
    /// To be run again at this time; the job is FAILED until then.
    RetryAt {
        /// When.
        at: DateTime<Utc>,
        /// What went wrong.
        error: String,
    },
    /// Given up, in the same transaction as the recording's state PARKED and its error; where the job was about a
    /// rendition, the rendition's.
    Parked {
        /// What went wrong.
        error: String,
    },
    /// Done: the rendition is available.
    Rendered(RenderedFile),
    /// It is not the time yet: QUEUED until then, and this run does not count.
    Later {
        /// When.
        at: DateTime<Utc>,
    },
}

/// What jobs to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// On this recording.
    pub recording: Option<RecordingId>,
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// In this state.
    pub state: Option<JobState>,
}

/// What [`Store::cancel`](crate::Store::cancel) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// Cancelled now. Whoever runs the job is told.
    Now,
    /// It had been cancelled before.
    Before,
    /// It is over, or of a kind that can't be cancelled; nothing was changed.
    Refused(JobState),
}
