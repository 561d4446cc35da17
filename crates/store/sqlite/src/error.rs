//! Maps the errors of SQLite and sqlx to [`StoreError`].

use sqlx::error::DatabaseError;
use store::StoreError;

/// Why a query failed, before it becomes a [`StoreError`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::Database(error) => translate(error),
        }
    }
}

/// The [`StoreError`] of an error of sqlx.
pub(crate) fn translate(error: impl Into<sqlx::Error>) -> StoreError {
    use sqlx::Error as E;
    match error.into() {
        error @ (E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed) => {
            StoreError::Unavailable(error.to_string())
        }
        error @ (E::ColumnDecode { .. } | E::Decode(_)) => StoreError::Corrupt(error.to_string()),
        E::Database(error) => {
            let code = code_of(&*error);
            let text = format!("{} ({code})", error.message());
            if is_transient(code) { StoreError::Unavailable(text) } else { StoreError::Internal(text) }
        }
        other => StoreError::Internal(other.to_string()),
    }
}

const BUSY: i32 = 5;

fn code_of(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// Whether another connection holds a lock that was needed.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| code_of(error) & 0xFF == BUSY)
}

/// Whether the same call may succeed later, by SQLite's result code (sqlite.org/rescode.html). The low byte of an extended
/// code is its primary code.
fn is_transient(code: i32) -> bool {
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const IOERR: i32 = 10;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    matches!(code & 0xFF, BUSY | LOCKED | NOMEM | READONLY | IOERR | FULL | CANTOPEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_or_a_full_disk_is_transient_and_a_constraint_violation_is_not() {
        let busy_snapshot = 517;
        for transient in [5, 6, 13, busy_snapshot] {
            assert!(is_transient(transient), "{transient}");
        }
        let primary_key = 1555;
        for permanent in [1, 11, 19, 26, primary_key, 0] {
            assert!(!is_transient(permanent), "{permanent}");
        }
    }
}
