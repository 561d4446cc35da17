//! The errors of all back ends.

/// Why a call to the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row does not exist, or belongs to another tenant.
    #[error("{what} not found")]
    NotFound {
        /// The kind of row.
        what: &'static str,
    },
    /// A row with this id exists and differs.
    #[error("{what} exists already")]
    Conflict {
        /// The kind of row.
        what: &'static str,
    },
    /// The state of the row does not permit the operation.
    #[error("the {what} is {state}")]
    WrongState {
        /// The kind of row.
        what: &'static str,
        /// Its state.
        state: &'static str,
    },
    /// The lease ended, and another worker may have the job. The worker has to stop.
    #[error("the lease on job {0} was lost")]
    LeaseLost(model::JobId),
    /// The database did not answer or is too busy. The caller can repeat the call.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row has a value that this version can't read.
    #[error("the database holds an unreadable row: {0}")]
    Corrupt(String),
    /// Any other error: a fault of this program, or of the database.
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
