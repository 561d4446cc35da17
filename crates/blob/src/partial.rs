//! A file under a temporary name, which goes away unless it is kept.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// A temporary name in a directory. Dropping it removes whatever file has that name.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// A name in `directory` that nobody has; no file is made.
    pub(crate) fn name_in(directory: &Path) -> Self {
        Self { path: directory.join(format!(".{}.part", uuid::Uuid::new_v4().simple())) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable, gives it its final name in place of what had it, and makes the name durable.
    pub(crate) fn persist(self, file: &File, target: &Path) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(&self.path, target)?;
        sync_directory(target.parent().unwrap_or(Path::new("/")))
        // Dropping `self` matters even now: rename(2) does nothing if both names are hard links to one file.
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing is there to report to: the file may never have been made, or has its final name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Forces a directory's entries to disk: only then does a new or removed name survive a power cut (fsync(2)).
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    // The parent of a bare file name is the empty path.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}
