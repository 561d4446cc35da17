//! Why a run of a job failed.

use std::path::PathBuf;

use blob::BlobError;
use store::StoreError;

use crate::RenderError;

/// Why a run of a job failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The recording's row has no object key, format or checksum: it has no finished file.
    #[error("the recording has no finished file: {missing} is not known")]
    NoFile {
        /// The missing value.
        missing: &'static str,
    },
    /// The finished file is neither in the spool nor in the object store.
    #[error("{} is missing, and it is not in the object store", .path.display())]
    FileMissing {
        /// Its path in the spool.
        path: PathBuf,
    },
    /// The file in the spool has changed since it was finished.
    #[error("{} has {found} bytes, not the {expected} of the finished file", .path.display())]
    FileDiffers {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size in the recording's row.
        expected: u64,
    },
    /// The object is not the finished file. The local file may be the only copy.
    #[error("object {key:?} is not the finished file: {detail}")]
    ObjectDiffers {
        /// Its key.
        key: String,
        /// The difference.
        detail: String,
    },
    /// The recording's directory holds another file, perhaps media, that was never stored.
    #[error("{} was never stored, so its directory is not removed", .path.display())]
    UnstoredMedia {
        /// The file.
        path: PathBuf,
    },
    /// An I/O error in the spool.
    #[error("{}: {source}", .path.display())]
    Spool {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An I/O error in a directory for renders or segments.
    #[error("{}: {source}", .path.display())]
    Work {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A render job without a rendition.
    #[error("the job names no rendition")]
    NoRendition,
    /// The render failed.
    #[error(transparent)]
    Render(RenderError),
    /// An error of the object store.
    #[error(transparent)]
    Blob(BlobError),
    /// An error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was cancelled: the lease was lost, the job was cancelled, or the recorder shuts down.
    #[error("cancelled")]
    Cancelled,
    /// A bug in the recorder.
    #[error("the job panicked")]
    Panicked,
}

impl JobError {
    /// Whether a retry would fail again, so that the job is parked at once. Errors that an operator can repair from outside
    /// (credentials, a bucket, a full disk) are not permanent.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::NoFile { .. }
                | Self::FileMissing { .. }
                | Self::FileDiffers { .. }
                | Self::UnstoredMedia { .. }
                | Self::NoRendition
                | Self::Render(RenderError::Permanent(_))
                | Self::Blob(BlobError::BadKey(_))
                | Self::Store(StoreError::NotFound { .. } | StoreError::Corrupt(_))
        )
    }
}

impl From<BlobError> for JobError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Cancelled => Self::Cancelled,
            error => Self::Blob(error),
        }
    }
}

impl From<RenderError> for JobError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => Self::Cancelled,
            error => Self::Render(error),
        }
    }
}
