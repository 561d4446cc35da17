//! The spool as a whole: its lock, its free space, and recovery after a crash.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use model::{Recording, RecordingId};
use nix::sys::statvfs::statvfs;

use crate::{RecordingDirectory, recover};

/// The spool's directory, locked until this is dropped. A second process would take live recordings for those of a crash.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    _lock: File,
}

/// The spool can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{}: another recorder uses it", .0.display())]
    InUse(PathBuf),
    /// The directory or its lock can't be created.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Spool {
    /// Creates the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join(".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The spool's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of a recording.
    #[must_use]
    pub fn recording(&self, id: RecordingId) -> RecordingDirectory {
        RecordingDirectory::new(&self.path, id)
    }

    /// Repairs and finishes on disk what an earlier run left. Returns the recordings that the database has yet to
    /// commit. A directory that can't be understood stays, for a person, and delays no other. Blocks.
    ///
    /// # Errors
    /// The spool can't be read.
    pub fn recover(&self, base_path: &str) -> io::Result<Vec<(RecordingDirectory, Recording)>> {
        recover::recover_all(&self.path, base_path)
    }
}

/// Free bytes for this process on the disk of a path. Blocks.
///
/// # Errors
/// The disk does not answer.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = statvfs(path)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_in_use_is_refused_until_it_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("spool");
        let first = Spool::open(&path).unwrap();
        assert!(matches!(Spool::open(&path), Err(OpenError::InUse(_))));
        drop(first);
        Spool::open(&path).unwrap();
        assert!(free_bytes(&path).unwrap() > 0);
    }

    #[test]
    fn a_spool_below_a_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Spool::open(&file.path().join("spool")).unwrap_err();
        assert!(error.to_string().starts_with(&file.path().display().to_string()), "{error}");
    }
}
