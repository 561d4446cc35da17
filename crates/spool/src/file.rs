//! The files of the spool, behind two small traits so that tests can make them fail.

use std::{
    fmt::Debug,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// A media file that is being written.
pub trait MediaFile: Debug + Send + Sync {
    /// Writes all of it at an offset, in bytes from the beginning.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Takes everything out of it.
    fn empty(&self) -> io::Result<()>;
    /// Returns when the data is on disk.
    fn sync(&self) -> io::Result<()>;
}

/// Makes media files.
pub trait Files: Debug + Send + Sync {
    /// A new, empty file, readable and writable.
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>>;
}

/// The operating system's files.
#[derive(Debug)]
pub struct OsFiles;

impl MediaFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn empty(&self) -> io::Result<()> {
        self.set_len(0)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Files for OsFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }
}
