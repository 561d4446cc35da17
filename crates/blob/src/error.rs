//! The errors of all back ends.

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No object under this key.
    #[error("no object {0:?}")]
    NotFound(String),
    /// The key is empty, too long, or would lead out of the store.
    #[error("{0:?} is not an object key")]
    BadKey(String),
    /// The stored bytes differ from the sent ones, and do not count as stored.
    #[error("object {key:?} is damaged: {detail}")]
    Mismatch {
        /// The key.
        key: String,
        /// The difference.
        detail: String,
    },
    /// The local file can't be read.
    #[error("can't read {path}: {source}")]
    Source {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The local file that should receive an object can't be written.
    #[error("can't write {path}: {source}")]
    Target {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The upload does not exist any more: it was completed or aborted.
    #[error("no upload to {0:?} is open")]
    NoUpload(String),
    /// The store did not answer, or failed. The same call may succeed later.
    #[error("the object store failed: {0}")]
    Unavailable(String),
    /// The store refuses the request permanently: credentials, permissions, a missing bucket.
    #[error("the object store refused: {0}")]
    Refused(String),
    /// A setting or an argument is invalid.
    #[error("{what} {problem}")]
    BadSetting {
        /// Its name.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The call was cancelled; nothing was stored.
    #[error("cancelled")]
    Cancelled,
}

impl BlobError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Mismatch { .. } | Self::NoUpload(_))
    }
}
