//! Objects under keys: a local directory (the embedded default), or S3.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

/// What the store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal, as computed or checked by the store or recorded with the
    /// object when it was written and confirmed against a read; none if the store can't tell.
    pub sha256: Option<String>,
}

/// A file to be put under a key.
#[derive(Debug, Clone)]
pub struct PutFile<'a> {
    /// The key: `/`-separated, relative, no `.` or `..` component.
    pub key: &'a str,
    /// The local file. It must not change meanwhile.
    pub path: &'a Path,
    /// Media type.
    pub content_type: &'a str,
    /// SHA-256 of the file, lower-case hexadecimal, where it is known. What arrives has to match it.
    pub sha256: Option<&'a str>,
}

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
    /// The store can't be reached or failed; the same call may succeed later.
    #[error("the object store failed: {0}")]
    Unavailable(String),
    /// The store refuses for good: credentials, permissions, no such bucket.
    #[error("the object store refused: {0}")]
    Refused(String),
    /// The call was cancelled; nothing of it counts as stored.
    #[error("cancelled")]
    Cancelled,
}

/// An object store.
#[async_trait::async_trait]
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// Stores a file, in parts where it is large, and returns what the store then says of it. The object appears
    /// whole or not at all; a failed upload leaves no parts behind where the store can be reached to remove them.
    ///
    /// # Errors
    /// [`BlobError`]; whether it is worth repeating says [`BlobError::is_transient`].
    async fn put_file(&self, file: PutFile<'_>, cancel: &CancellationToken) -> Result<ObjectInfo, BlobError>;

    /// What is under a key.
    ///
    /// # Errors
    /// `NotFound`, or as above.
    async fn head(&self, key: &str) -> Result<ObjectInfo, BlobError>;

    /// Copies an object into a local file.
    ///
    /// # Errors
    /// `NotFound`, or as above.
    async fn get_file(&self, key: &str, path: &Path) -> Result<ObjectInfo, BlobError>;

    /// Removes an object. None there is fine.
    ///
    /// # Errors
    /// As above.
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// A URL by which anyone can fetch the object for a time; none if the store has no such thing.
    ///
    /// # Errors
    /// As above.
    async fn download_url(&self, key: &str, valid: Duration) -> Result<Option<String>, BlobError>;

    /// Whether the store answers and the bucket is there.
    ///
    /// # Errors
    /// As above.
    async fn ping(&self) -> Result<(), BlobError>;
}

impl BlobError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Mismatch { .. })
    }
}
