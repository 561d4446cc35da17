//! Sessions, as they are committed.

use model::Recording;

use crate::{NewJob, NewRendition};

/// A sealed recording, as it goes into the database in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalizedRecording {
    /// The recording with everything known, its state the one that it is to have.
    pub recording: Recording,
    /// Its jobs.
    pub jobs: Vec<NewJob>,
    /// What is to be made of it. Their jobs are made with them, for the node that has the file. What there is already stays.
    pub renditions: Vec<NewRendition>,
}

/// What [`Store::finalize`](crate::Store::finalize) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalizeOutcome {
    /// Written now.
    Written,
    /// It had been sealed before; nothing was changed.
    AlreadySealed,
}
