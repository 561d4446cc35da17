//! A file under a temporary name, which is removed unless it gets its final name.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A temporary name in a directory. Dropping it removes the file with this name.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// An unused name in `directory`. No file is created.
    pub(crate) fn name_in(directory: &Path) -> Self {
        Self { path: directory.join(format!(".{}.part", uuid::Uuid::new_v4().simple())) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable, renames it to its final name, replacing an existing file, and makes the name durable.
    pub(crate) fn persist(self, file: &File, target: &Path) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(&self.path, target)?;
        sync_directory(target.parent().unwrap_or(Path::new("/")))
        // Dropping `self` is still needed: rename(2) does nothing if both names are hard links to one file.
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // An error is expected: the file was never created, or has its final name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Forces a directory's entries to disk: only then does a new or removed name survive a power cut (fsync(2)).
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    // The parent of a bare file name is the empty path.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}
