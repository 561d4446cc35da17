//! Why a run of a job failed.

use std::path::PathBuf;

use blob::BlobError;
use store::StoreError;

use crate::RenderError;

/// Why a run of a job failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The recording's row has no object key, format or checksum: it has no file that could be stored.
    #[error("the recording has no sealed file: {missing} is not known")]
    NoFile {
        /// What its row lacks.
        missing: &'static str,
    },
    /// The sealed file is gone, and the object store does not have it either.
    #[error("{} is missing, and it is not in the object store", .path.display())]
    FileMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file in the spool is not what was sealed.
    #[error("{} has {found} bytes, {sealed} were sealed", .path.display())]
    FileDiffers {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size that the recording's row tells.
        sealed: u64,
    },
    /// The object is not what was sealed, so that the local file may be the only copy.
    #[error("object {key:?} is not what was sealed: {detail}")]
    ObjectDiffers {
        /// Its key.
        key: String,
        /// What differs.
        detail: String,
    },
    /// The recording's directory holds something, perhaps media, that nobody has stored.
    #[error("{} was never stored, so its directory is kept", .path.display())]
    UnstoredMedia {
        /// The file.
        path: PathBuf,
    },
    /// The spool can't be read or changed.
    #[error("{}: {source}", .path.display())]
    Spool {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A directory to work in can't be made.
    #[error("{}: {source}", .path.display())]
    Work {
        /// Where.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The job's row does not say which rendition is meant.
    #[error("the job names no rendition")]
    NoRendition,
    /// The rendition could not be made.
    #[error(transparent)]
    Render(RenderError),
    /// The object store.
    #[error(transparent)]
    Blob(BlobError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lease was lost, or the recorder shuts down.
    #[error("cancelled")]
    Cancelled,
    /// A fault of ours.
    #[error("the job panicked")]
    Panicked,
}

impl JobError {
    /// Whether another run can't end otherwise, so that a person has to look now. What an operator can mend from
    /// outside (credentials, a bucket, a full disk) isn't: those runs are repeated as long as there are attempts.
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
