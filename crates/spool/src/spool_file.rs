//! The session's end of an open file.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use media::FinalBytes;
use tokio::sync::oneshot;

use crate::{
    MediaFile,
    queue::{Queue, QueueLimits, SpoolFailure, Write, WriteOutcome},
    writer::Writer,
};

/// An open file, as its session writes it. No method blocks. Bounded by `max_waiting_bytes`: if the disk is slower for
/// long, [`append`](Self::append) fails with [`SpoolFailure::Stalled`], the session ends, and the bytes in the queue are
/// still written. Dropped without [`finish`](Self::finish), the file stays open on disk, and the next start repairs it.
#[derive(Debug)]
pub struct SpoolFile {
    queue: Arc<Queue>,
    writer: Arc<Writer>,
    appended: u64,
    final_bytes: Option<FinalBytes>,
}

impl SpoolFile {
    /// Writes to `file` by `writer`. At most `max_waiting_bytes` wait for the disk. A disk that writes nothing for
    /// `stall_timeout` while bytes wait has stalled.
    #[must_use]
    pub fn new(
        file: Box<dyn MediaFile>,
        writer: Arc<Writer>,
        max_waiting_bytes: usize,
        stall_timeout: Duration,
    ) -> Self {
        let limits = QueueLimits { max_waiting_bytes, stall_timeout };
        let queue = Arc::new(Queue::new(file, limits, writer.waiting_bytes()));
        writer.sync_regularly(&queue);
        Self { queue, writer, appended: 0, final_bytes: None }
    }

    /// Appends to the file.
    ///
    /// # Errors
    /// Past the byte budget `Stalled`; else why an earlier write failed. Every later call fails too: a file has no hole.
    pub fn append(&mut self, bytes: Bytes, now: Instant) -> Result<(), SpoolFailure> {
        let length = bytes.len() as u64;
        self.push(Write::Append(bytes), now)?;
        self.appended += length;
        Ok(())
    }

    /// Overwrites bytes that were appended earlier, `offset` bytes from the beginning.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn patch(&mut self, offset: u64, bytes: Bytes, now: Instant) -> Result<(), SpoolFailure> {
        self.push(Write::Patch { offset, bytes }, now)
    }

    /// Truncates the file to zero bytes. The next append begins it again.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn restart(&mut self, now: Instant) -> Result<(), SpoolFailure> {
        self.push(Write::Restart, now)?;
        self.appended = 0;
        Ok(())
    }

    /// Notes which of the bytes given so far are final. A failing file is reported by the next write, not by this.
    pub fn note_final(&mut self, final_bytes: Option<FinalBytes>, now: Instant) {
        if let Some(new) = final_bytes.filter(|_| final_bytes != self.final_bytes) {
            self.final_bytes = final_bytes;
            let _ = self.push(Write::Final(new), now);
        }
    }

    /// Notes the recording's length.
    pub fn note_recorded(&self, time: Duration) {
        self.queue.note_recorded(time);
    }

    /// The file's queue, for [`OpenFiles`](crate::OpenFiles).
    #[must_use]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Bytes appended, written or not.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Bytes that wait for the disk, patches included.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.queue.waiting_bytes()
    }

    /// Returns after the next write to the disk, or at once if one was done since the last call. Cancel safe.
    pub async fn progressed(&self) {
        self.queue.progressed().await;
    }

    /// Checks whether the disk keeps up.
    ///
    /// # Errors
    /// The disk has failed, or has stalled by `now`.
    pub fn check(&self, now: Instant) -> Result<(), SpoolFailure> {
        self.queue.check(now)
    }

    /// Ends the writing. The receiver is answered once everything is in the file.
    #[must_use]
    pub fn finish(self) -> (Arc<Queue>, oneshot::Receiver<WriteOutcome>) {
        let (ended, outcome) = oneshot::channel();
        if self.queue.end(ended) {
            self.writer.schedule(Arc::clone(&self.queue));
        }
        self.writer.hurry();
        (self.queue, outcome)
    }

    fn push(&self, write: Write, now: Instant) -> Result<(), SpoolFailure> {
        if self.queue.push(write, now)? {
            self.writer.schedule(Arc::clone(&self.queue));
        }
        Ok(())
    }
}
