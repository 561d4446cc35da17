//! How far the disk is behind: a source that can wait is made to, instead of filling the session's budget.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use spool::MediaFile;

/// Counts what a file has taken.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: AtomicU64,
    more: Notify,
}

/// A file that tells how much of what it was given it has taken.
#[derive(Debug)]
pub(super) struct PacedFile {
    file: Box<dyn MediaFile>,
    written: Arc<Written>,
}

/// Follows a file.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) written: Arc<Written>,
    /// Bytes that may be on their way to the disk before the source waits.
    pub(super) at_most: u64,
}

/// Follows what is written to a file.
pub(super) fn paced(file: Box<dyn MediaFile>) -> (PacedFile, Arc<Written>) {
    let written = Arc::new(Written::default());
    (PacedFile { file, written: Arc::clone(&written) }, written)
}

impl Pace {
    /// Whether more is on its way than there should be. `handed` is all that the file was given.
    pub(super) fn is_behind(&self, handed: u64) -> bool {
        handed.saturating_sub(self.written.bytes.load(Ordering::Acquire)) > self.at_most
    }

    /// Returns when something was written, or has been since the last time.
    pub(super) async fn more(&self) {
        self.written.more.notified().await;
    }
}

impl MediaFile for PacedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)?;
        self.written.bytes.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        self.written.more.notify_one();
        Ok(())
    }

    fn empty(&self) -> io::Result<()> {
        self.file.empty()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
