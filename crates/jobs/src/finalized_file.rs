//! A finalized recording's file in the spool, as its row describes it.

use std::path::{Path, PathBuf};

use model::{Container, Recording};
use spool::RecordingDirectory;

use crate::JobError;

/// The finished file of a finalized recording, as the recording's row describes it.
#[derive(Clone)]
pub(crate) struct FinalizedFile<'a> {
    pub path: PathBuf,
    pub container: Container,
    pub key: &'a str,
    pub bytes: u64,
    /// None until the upload or the clean-up has computed it.
    pub sha256: Option<&'a str>,
}

impl<'a> FinalizedFile<'a> {
    pub fn of(recording: &'a Recording, spool: &Path) -> Result<Self, JobError> {
        let lacks = |missing| JobError::NoFile { missing };
        let container = recording.container.ok_or(lacks("its format"))?;
        let key = recording.object_key.as_deref().ok_or(lacks("its object key"))?;
        let sha256 = recording.sha256.as_deref();
        let path = RecordingDirectory::new(spool, recording.id).media(container);
        Ok(Self { path, container, key, bytes: recording.bytes, sha256 })
    }

    /// Compares size and, where both are known, SHA-256 with the object.
    ///
    /// # Errors
    /// `ObjectDiffers`.
    pub fn check(&self, stored: &blob::ObjectInfo) -> Result<(), JobError> {
        let other = self.sha256.zip(stored.sha256.as_deref()).is_some_and(|(ours, theirs)| ours != theirs);
        if stored.bytes == self.bytes && !other {
            return Ok(());
        }
        let detail = format!(
            "it has {} bytes, SHA-256 {}; the file has {}, {}",
            stored.bytes,
            stored.sha256.as_deref().unwrap_or("unknown"),
            self.bytes,
            self.sha256.unwrap_or("unknown")
        );
        Err(JobError::ObjectDiffers { key: self.key.to_owned(), detail })
    }
}
