//! The one error vocabulary of every back end.

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row, or another tenant's.
    #[error("{what} not found")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// A row with this id is there already, and says something else.
    #[error("{what} exists already")]
    Conflict {
        /// What was to be written.
        what: &'static str,
    },
    /// The row is in a state in which this can't be done.
    #[error("the {what} is {state}")]
    WrongState {
        /// What was looked at.
        what: &'static str,
        /// The state that it is in.
        state: &'static str,
    },
    /// The lease is over: another worker may have the job. Stop working on it.
    #[error("the lease on job {0} was lost")]
    LeaseLost(model::JobId),
    /// The database can't be reached or is too busy; the call may be repeated.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row holds what this version can't read.
    #[error("the database holds an unreadable row: {0}")]
    Corrupt(String),
    /// Everything else: a fault of ours, or of the database.
    #[error("the database refused: {0}")]
    Internal(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
