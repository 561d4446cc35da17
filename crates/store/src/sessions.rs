//! The result of a session, as it is committed.

use model::Recording;

use crate::{NewJob, NewRendition};

/// A recording whose file is finished, with everything that is committed in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalizedRecording {
    /// The complete recording in its new state.
    pub recording: Recording,
    /// The jobs to insert.
    pub jobs: Vec<NewJob>,
    /// The renditions to insert, each with a job that is bound to the recording's node. Existing ones are not changed.
    pub renditions: Vec<NewRendition>,
}

/// The result of [`Store::finalize`](crate::Store::finalize).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalizeOutcome {
    /// The recording was finalized by this call.
    Written,
    /// An earlier call finalized it; nothing was changed.
    AlreadyFinalized,
}
