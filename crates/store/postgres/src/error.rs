//! Maps the errors of Postgres and sqlx to [`StoreError`].

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

fn translate(error: sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => {
            StoreError::Unavailable(error.to_string())
        }
        // A server that shuts down may truncate a message.
        E::Protocol(_) => StoreError::Unavailable(error.to_string()),
        E::ColumnDecode { .. } | E::Decode(_) => StoreError::Corrupt(error.to_string()),
        E::Database(error) => {
            // Only the message: the detail may quote a row.
            let code = error.code().unwrap_or_default().into_owned();
            let text = format!("{} ({code})", error.message());
            if is_transient(&code) { StoreError::Unavailable(text) } else { StoreError::Internal(text) }
        }
        // The text may quote the URL with its password.
        E::Configuration(_) => StoreError::Internal("the database's configuration is invalid".to_owned()),
        other => StoreError::Internal(other.to_string()),
    }
}

/// Whether the same call may succeed later, by SQLSTATE (Postgres manual, appendix A).
fn is_transient(code: &str) -> bool {
    match code.get(..2) {
        // Connection exceptions, insufficient resources (also a full disk), operator intervention (shutdown, startup,
        // cancelled), system errors, and credentials that an operator has to correct.
        Some("08" | "53" | "57" | "58" | "28") => true,
        _ => matches!(
            code,
            // Database missing; read-only, because a standby was not promoted yet; serialization failure; deadlock;
            // lock not available.
            "3D000" | "25006" | "40001" | "40P01" | "55P03"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_transient_and_a_constraint_violation_is_not() {
        for transient in ["08006", "57P01", "57P03", "53300", "53100", "40001", "40P01", "55P03", "25006"] {
            assert!(is_transient(transient), "{transient}");
        }
        for permanent in ["23505", "23514", "42P01", "22021", ""] {
            assert!(!is_transient(permanent), "{permanent}");
        }
    }

    #[test]
    fn an_invalid_configuration_is_not_quoted() {
        let error = translate(sqlx::Error::Configuration("postgres://app:hunter2@db".into()));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
