//! Postgres's errors in the store's words.

use store::StoreError;

/// Why a call failed, before it is told to the caller.
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
        // A server that goes down may cut a message short.
        E::Protocol(_) => StoreError::Unavailable(error.to_string()),
        E::ColumnDecode { .. } | E::Decode(_) => StoreError::Corrupt(error.to_string()),
        E::Database(error) => {
            // The message alone: the detail may quote a row.
            let code = error.code().unwrap_or_default().into_owned();
            let text = format!("{} ({code})", error.message());
            if is_transient(&code) { StoreError::Unavailable(text) } else { StoreError::Internal(text) }
        }
        // Errors of configuration may quote what was configured.
        E::Configuration(_) => StoreError::Internal("the database's configuration is not usable".to_owned()),
        other => StoreError::Internal(other.to_string()),
    }
}

/// Whether the call may succeed later, by SQLSTATE (Postgres manual, appendix A).
fn is_transient(code: &str) -> bool {
    match code.get(..2) {
        // Connection exceptions, insufficient resources (disk full too), operator intervention (shutting down,
        // starting up, cancelled), system errors; and credentials or a database that an operator has yet to set right.
        Some("08" | "53" | "57" | "58" | "28") => true,
        _ => matches!(
            code,
            // The database is missing; read-only, because a standby has not been promoted yet; serialization
            // failure; deadlock; lock not available.
            "3D000" | "25006" | "40001" | "40P01" | "55P03"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_transient_and_a_broken_rule_is_not() {
        for transient in ["08006", "57P01", "57P03", "53300", "53100", "40001", "40P01", "55P03", "25006"] {
            assert!(is_transient(transient), "{transient}");
        }
        for permanent in ["23505", "23514", "42P01", "22021", ""] {
            assert!(!is_transient(permanent), "{permanent}");
        }
    }

    #[test]
    fn a_bad_configuration_is_not_quoted() {
        let error = translate(sqlx::Error::Configuration("postgres://app:hunter2@db".into()));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
