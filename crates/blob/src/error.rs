//! The one error vocabulary of every back end.

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No object under this key.
    #[error("no object {0:?}")]
    NotFound(String),
    /// The key would lead outside, or is empty.
    #[error("{0:?} is no object key")]
    BadKey(String),
    /// What arrived is not what was sent. Nothing of it counts as stored.
    #[error("object {key:?} is damaged: {detail}")]
    Mismatch {
        /// The key.
        key: String,
        /// What differs.
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
    /// The local file that an object was to be copied into can't be written.
    #[error("can't write {path}: {source}")]
    Target {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The upload was completed or aborted: nothing more can be added to it.
    #[error("no upload to {0:?} is under way")]
    NoUpload(String),
    /// The store can't be reached or failed; the same call may succeed later.
    #[error("the object store failed: {0}")]
    Unavailable(String),
    /// The store refuses for good: credentials, permissions, no such bucket.
    #[error("the object store refused: {0}")]
    Refused(String),
    /// A setting, or a value given to a call, that can't be used.
    #[error("{what} {problem}")]
    BadSetting {
        /// Its name.
        what: &'static str,
        /// What it has to be.
        problem: String,
    },
    /// The call was cancelled; nothing of it counts as stored.
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
