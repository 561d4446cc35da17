//! Where a recording's file is in the spool, and what its row must tell of it.

use std::path::{Path, PathBuf};

use model::{Container, Recording, RecordingId};

use crate::JobError;

/// A recording's directory.
pub(crate) fn directory(spool: &Path, id: RecordingId) -> PathBuf {
    spool.join(id.to_string())
}

/// A sealed file, as the recording's row tells of it.
pub(crate) struct SealedFile<'a> {
    pub path: PathBuf,
    pub container: Container,
    pub key: &'a str,
    pub bytes: u64,
    /// None until the first upload has taken it.
    pub sha256: Option<&'a str>,
}

impl<'a> SealedFile<'a> {
    pub fn of(recording: &'a Recording, spool: &Path) -> Result<Self, JobError> {
        let lacks = |missing| JobError::NoFile { missing };
        let container = recording.container.ok_or(lacks("its format"))?;
        let key = recording.object_key.as_deref().ok_or(lacks("its object key"))?;
        let sha256 = recording.sha256.as_deref();
        let name = format!("{}.{}", recording.id, container.extension());
        let path = directory(spool, recording.id).join(name);
        Ok(Self { path, container, key, bytes: recording.bytes, sha256 })
    }

    /// Whether this is what the store says that it has.
    pub fn check(&self, stored: &blob::ObjectInfo) -> Result<(), JobError> {
        let sha256 = self.sha256.ok_or(JobError::NoFile { missing: "its SHA-256" })?;
        if stored.bytes == self.bytes && stored.sha256.as_deref() == Some(sha256) {
            return Ok(());
        }
        let detail = format!(
            "it has {} bytes, SHA-256 {}; sealed were {}, {}",
            stored.bytes,
            stored.sha256.as_deref().unwrap_or("unknown"),
            self.bytes,
            sha256
        );
        Err(JobError::ObjectDiffers { key: self.key.to_owned(), detail })
    }
}
