//! Writes of one open file that wait for the disk. The session adds to it and never blocks; a writer thread empties it.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use media::FinalBytes;
use tokio::sync::{Notify, oneshot};

use crate::{MediaFile, metrics};

/// Why the spool writes no more of a session. The bytes written before stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFailure {
    /// The disk is full.
    Full,
    /// The disk wrote nothing for too long, or the queue exceeds its budget.
    Stalled,
    /// The disk failed.
    Broken,
}

/// How the writing of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOutcome {
    /// The file's size in bytes.
    pub bytes: u64,
    /// Why the file lacks its end; none if everything is in it.
    pub failure: Option<SpoolFailure>,
}

/// One write.
#[derive(Debug)]
pub(crate) enum Write {
    Append(Bytes),
    /// Truncates the file to zero bytes.
    Restart,
    Patch {
        offset: u64,
        bytes: Bytes,
    },
    /// The writes before this one make so much of the file final.
    Final(FinalBytes),
}

/// What limits a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    /// Bytes that may wait.
    pub(crate) max_waiting_bytes: usize,
    /// How long the disk may write nothing while bytes wait.
    pub(crate) stall_timeout: Duration,
}

/// Bytes that wait in all queues.
#[derive(Debug, Default)]
pub(crate) struct WaitingBytes(AtomicUsize);

impl WaitingBytes {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
        metrics::waiting(before.saturating_sub(bytes));
    }
}

/// The file's final bytes.
#[derive(Debug, Default)]
struct Final {
    /// Those that are written.
    written: Option<FinalBytes>,
    /// Those that are durable.
    durable: Option<FinalBytes>,
}

#[derive(Debug)]
struct Waiting {
    writes: VecDeque<Write>,
    bytes: usize,
    /// Whether the queue is on a writer's list.
    scheduled: bool,
    /// When the disk last finished a write, or when the first write began to wait.
    progress: Instant,
    failure: Option<SpoolFailure>,
    ended: Option<oneshot::Sender<WriteOutcome>>,
}

/// The queue of one file, shared by the session, a writer and a syncer.
#[derive(Debug)]
pub struct Queue {
    file: Box<dyn MediaFile>,
    limits: QueueLimits,
    waiting: Mutex<Waiting>,
    waiting_of_all: Arc<WaitingBytes>,
    /// Notified after each write.
    progress: Notify,
    /// Bytes in the file. Only the writer changes it.
    written: AtomicU64,
    /// The value of `written` at the last sync; `u64::MAX` if a patch was written since.
    synced: AtomicU64,
    final_bytes: Mutex<Final>,
    /// The recording's length in nanoseconds, written or not.
    recorded: AtomicU64,
}

impl Queue {
    pub(crate) fn new(
        file: Box<dyn MediaFile>,
        limits: QueueLimits,
        waiting_of_all: Arc<WaitingBytes>,
    ) -> Self {
        let waiting = Waiting {
            writes: VecDeque::new(),
            bytes: 0,
            scheduled: false,
            progress: Instant::now(),
            failure: None,
            ended: None,
        };
        Self {
            file,
            limits,
            waiting: Mutex::new(waiting),
            waiting_of_all,
            progress: Notify::new(),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            final_bytes: Mutex::default(),
            recorded: AtomicU64::new(0),
        }
    }

    /// Adds a write. Returns whether the queue must be put on its writer's list. Past the byte budget it fails, and so
    /// does every later call: a file has no hole.
    pub(crate) fn push(&self, write: Write, now: Instant) -> Result<bool, SpoolFailure> {
        let length = write.length();
        let mut waiting = self.lock();
        if let Some(failure) = waiting.failure {
            return Err(failure);
        }
        if waiting.bytes + length > self.limits.max_waiting_bytes {
            waiting.failure = Some(SpoolFailure::Stalled);
            return Err(SpoolFailure::Stalled);
        }
        if waiting.bytes == 0 {
            waiting.progress = now;
        }
        waiting.bytes += length;
        waiting.writes.push_back(write);
        self.waiting_of_all.add(length);
        Ok(!std::mem::replace(&mut waiting.scheduled, true))
    }

    /// Ends the queue: `ended` is answered once every write before is done. Returns whether the queue must be put on
    /// its writer's list.
    pub(crate) fn end(&self, ended: oneshot::Sender<WriteOutcome>) -> bool {
        let mut waiting = self.lock();
        waiting.ended = Some(ended);
        !std::mem::replace(&mut waiting.scheduled, true)
    }

    /// Fails if the disk has failed, or has stalled by `now`.
    pub(crate) fn check(&self, now: Instant) -> Result<(), SpoolFailure> {
        let mut waiting = self.lock();
        if waiting.failure.is_none()
            && waiting.bytes > 0
            && now.saturating_duration_since(waiting.progress) > self.limits.stall_timeout
        {
            waiting.failure = Some(SpoolFailure::Stalled);
        }
        waiting.failure.map_or(Ok(()), Err)
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Returns after the next write, or at once if one was done since the last call.
    pub(crate) async fn progressed(&self) {
        self.progress.notified().await;
    }

    /// Writes until nothing waits. Only one writer thread calls it.
    pub(crate) fn write_out(&self) {
        loop {
            let mut waiting = self.lock();
            let writes = std::mem::take(&mut waiting.writes);
            if writes.is_empty() {
                waiting.scheduled = false;
                let ended = waiting.ended.take();
                let failure = waiting.failure;
                drop(waiting);
                if let Some(ended) = ended {
                    // The receiver may be gone; then the next start repairs the file.
                    let _ = ended.send(WriteOutcome { bytes: self.written.load(Ordering::Acquire), failure });
                }
                return;
            }
            drop(waiting);
            self.write_all(writes);
        }
    }

    fn write_all(&self, writes: VecDeque<Write>) {
        let mut failure = None;
        for write in writes {
            let length = write.length();
            if failure.is_none() {
                failure = self.write(&write).err().map(|error| failure_of(&error));
            }
            self.waiting_of_all.remove(length);
            metrics::written(length as u64);
            let mut waiting = self.lock();
            waiting.bytes = waiting.bytes.saturating_sub(length);
            waiting.progress = Instant::now();
            if failure.is_some() {
                // Bytes behind a hole are useless.
                waiting.failure = failure;
                let dropped: usize = waiting.writes.drain(..).map(|write| write.length()).sum();
                waiting.bytes = waiting.bytes.saturating_sub(dropped);
                self.waiting_of_all.remove(dropped);
            }
            drop(waiting);
            self.progress.notify_one();
        }
    }

    fn write(&self, write: &Write) -> io::Result<()> {
        match write {
            Write::Append(bytes) => {
                let end = self.written.load(Ordering::Relaxed);
                self.file.write_at(bytes, end)?;
                self.written.store(end + bytes.len() as u64, Ordering::Release);
            }
            Write::Restart => {
                self.file.empty()?;
                self.written.store(0, Ordering::Release);
                *self.lock_final() = Final::default();
                self.synced.store(u64::MAX, Ordering::Release);
            }
            Write::Final(final_bytes) => self.lock_final().written = Some(*final_bytes),
            Write::Patch { offset, bytes } => {
                self.file.write_at(bytes, *offset)?;
                self.synced.store(u64::MAX, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Forces written bytes to disk. Returns false if there were none since the last call.
    pub(crate) fn sync(&self) -> bool {
        // Read before the sync: bytes that become final while it runs may not be on disk when it ends.
        let final_bytes = self.lock_final().written;
        let written = self.written.load(Ordering::Acquire);
        let stale = self.synced.swap(written, Ordering::AcqRel) != written;
        if stale && self.file.sync().is_err() {
            self.lock().failure.get_or_insert(SpoolFailure::Broken);
        }
        // After a failed sync nobody knows which data is on disk (fsync(2)).
        if self.lock().failure != Some(SpoolFailure::Broken) {
            self.lock_final().durable = final_bytes;
        }
        stale
    }

    /// Forces everything to disk.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// The final bytes that are durable.
    pub(crate) fn durable(&self) -> Option<FinalBytes> {
        self.lock_final().durable
    }

    /// Notes the recording's length.
    pub(crate) fn note_recorded(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.recorded.store(nanoseconds, Ordering::Relaxed);
    }

    /// The recording's length, and the bytes in the file, final or not.
    pub(crate) fn recorded(&self) -> (Duration, u64) {
        let time = Duration::from_nanos(self.recorded.load(Ordering::Relaxed));
        (time, self.written.load(Ordering::Relaxed))
    }

    fn lock_final(&self) -> MutexGuard<'_, Final> {
        // The holder only moves values and can't leave them half changed.
        self.final_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The holder only moves values and can't leave them half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write {
    fn length(&self) -> usize {
        match self {
            Self::Append(bytes) | Self::Patch { bytes, .. } => bytes.len(),
            Self::Restart | Self::Final(_) => 0,
        }
    }
}

fn failure_of(error: &io::Error) -> SpoolFailure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            SpoolFailure::Full
        }
        _ => SpoolFailure::Broken,
    }
}
