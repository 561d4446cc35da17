//! The files of the spool, behind two small traits so that tests can make them fail.

use std::{
    fmt::Debug,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// An open media file.
pub trait MediaFile: Debug + Send + Sync {
    /// Writes all bytes at an offset from the beginning.
    ///
    /// # Errors
    /// The disk is full or failed. A part of the bytes may be written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Truncates the file to zero bytes.
    ///
    /// # Errors
    /// The disk failed.
    fn empty(&self) -> io::Result<()>;

    /// Forces the data to disk (fdatasync).
    ///
    /// # Errors
    /// The disk failed; then nobody knows which data is on disk (fsync(2)).
    fn sync(&self) -> io::Result<()>;
}

/// Creates media files.
pub trait Files: Debug + Send + Sync {
    /// Creates a file, readable and writable.
    ///
    /// # Errors
    /// The file exists, or the disk failed.
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
