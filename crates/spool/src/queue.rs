//! What waits for the disk, a queue a session: the shard adds to it and never blocks, a writer thread empties it.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use media::FinalBytes;
use tokio::sync::oneshot;

use crate::{MediaFile, metrics, writer::Writer};

/// Why the spool takes no more of a session. What was written before stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFailure {
    /// No room on the disk.
    Full,
    /// The disk took nothing for too long, or more waits for it than is allowed.
    Stalled,
    /// The disk refused.
    Broken,
}

/// How the writing of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The file's size in bytes.
    pub bytes: u64,
    /// Why it ends earlier than it should; none: everything is in it.
    pub failure: Option<SpoolFailure>,
}

#[derive(Debug)]
enum Write {
    Append(Bytes),
    Restart,
    Patch {
        offset: u64,
        bytes: Bytes,
    },
    /// What was written up to here makes this much final.
    Settle(FinalBytes),
}

/// What of a file is final.
#[derive(Debug, Default)]
struct Final {
    /// Written.
    written: Option<FinalBytes>,
    /// And on disk.
    durable: Option<FinalBytes>,
}

#[derive(Debug)]
struct Waiting {
    writes: VecDeque<Write>,
    bytes: usize,
    /// Whether a writer has it on its list.
    scheduled: bool,
    /// When the disk last took something, or since when there has been something to take.
    progress: Instant,
    failure: Option<SpoolFailure>,
    ended: Option<oneshot::Sender<Written>>,
}

/// The queue of one file, shared by the shard, a writer and the syncer.
#[derive(Debug)]
pub struct Queue {
    file: Box<dyn MediaFile>,
    waiting: Mutex<Waiting>,
    /// Bytes in the file. Only the writer changes it.
    written: AtomicU64,
    /// What `written` was when the file was last forced to disk, or patched since: `u64::MAX`.
    synced: AtomicU64,
    settled: Mutex<Final>,
    /// Nanoseconds of the recording so far, whether they are written or not.
    recorded: AtomicU64,
}

/// The shard's end of a file's queue.
#[derive(Debug)]
pub struct SpoolFile {
    queue: Arc<Queue>,
    writer: Arc<Writer>,
    max_waiting_bytes: usize,
    stall_timeout: Duration,
    appended: u64,
    settled: Option<FinalBytes>,
}

impl SpoolFile {
    pub fn new(
        file: Box<dyn MediaFile>,
        writer: Arc<Writer>,
        max_waiting_bytes: usize,
        stall_timeout: Duration,
    ) -> Self {
        let waiting = Waiting {
            writes: VecDeque::new(),
            bytes: 0,
            scheduled: false,
            progress: Instant::now(),
            failure: None,
            ended: None,
        };
        let queue = Arc::new(Queue {
            file,
            waiting: Mutex::new(waiting),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            settled: Mutex::default(),
            recorded: AtomicU64::new(0),
        });
        writer.watch(&queue);
        Self { queue, writer, max_waiting_bytes, stall_timeout, appended: 0, settled: None }
    }

    /// Adds to the end of the file. Past the byte budget it fails, and everything later is refused: a file has no
    /// hole.
    pub fn append(&mut self, bytes: Bytes, now: Instant) -> Result<(), SpoolFailure> {
        let length = bytes.len();
        self.push(Write::Append(bytes), length, now)?;
        self.appended += length as u64;
        Ok(())
    }

    /// Overwrites what was appended earlier.
    pub fn patch(&mut self, offset: u64, bytes: Bytes, now: Instant) -> Result<(), SpoolFailure> {
        let length = bytes.len();
        self.push(Write::Patch { offset, bytes }, length, now)
    }

    /// Empties the file: what follows takes the place of what was appended.
    pub fn restart(&mut self, now: Instant) -> Result<(), SpoolFailure> {
        self.push(Write::Restart, 0, now)?;
        self.appended = 0;
        Ok(())
    }

    /// Notes what is final of what was appended and patched so far. It says nothing to the session if the file is
    /// failing; the next write does.
    pub fn settle(&mut self, settled: Option<FinalBytes>, now: Instant) {
        if let Some(new) = settled.filter(|_| settled != self.settled) {
            self.settled = settled;
            let _ = self.push(Write::Settle(new), 0, now);
        }
    }

    /// Notes how long the recording is.
    pub fn note_recorded(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.queue.recorded.store(nanoseconds, Ordering::Relaxed);
    }

    /// The file, for whoever wants to know how it grows.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Bytes appended, those that wait included.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Whether the disk has failed or stalled by now.
    pub fn check(&self, now: Instant) -> Result<(), SpoolFailure> {
        let mut waiting = self.queue.lock();
        if waiting.failure.is_none()
            && waiting.bytes > 0
            && now.saturating_duration_since(waiting.progress) > self.stall_timeout
        {
            waiting.failure = Some(SpoolFailure::Stalled);
        }
        waiting.failure.map_or(Ok(()), Err)
    }

    /// No more will come. Answers when everything that was taken is in the file.
    pub fn finish(self) -> (Arc<Queue>, oneshot::Receiver<Written>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.queue.lock();
        waiting.ended = Some(sender);
        self.schedule(waiting);
        self.writer.hurry();
        (self.queue, receiver)
    }

    fn push(&self, write: Write, length: usize, now: Instant) -> Result<(), SpoolFailure> {
        let mut waiting = self.queue.lock();
        if let Some(failure) = waiting.failure {
            return Err(failure);
        }
        if waiting.bytes + length > self.max_waiting_bytes {
            waiting.failure = Some(SpoolFailure::Stalled);
            return Err(SpoolFailure::Stalled);
        }
        if waiting.bytes == 0 {
            waiting.progress = now;
        }
        waiting.bytes += length;
        waiting.writes.push_back(write);
        self.writer.add_waiting(length);
        self.schedule(waiting);
        Ok(())
    }

    fn schedule(&self, mut waiting: MutexGuard<'_, Waiting>) {
        if !std::mem::replace(&mut waiting.scheduled, true) {
            drop(waiting);
            self.writer.schedule(Arc::clone(&self.queue));
        }
    }
}

impl Queue {
    /// Writes what waits, and goes on until nothing does. Only a writer thread calls it, and only one at a time.
    pub fn write_out(&self, writer: &Writer) {
        loop {
            let mut waiting = self.lock();
            let writes = std::mem::take(&mut waiting.writes);
            if writes.is_empty() {
                waiting.scheduled = false;
                let ended = waiting.ended.take();
                let failure = waiting.failure;
                drop(waiting);
                if let Some(ended) = ended {
                    // Nobody may be waiting any more; the next start then repairs the file.
                    let _ = ended.send(Written { bytes: self.written.load(Ordering::Acquire), failure });
                }
                return;
            }
            drop(waiting);
            self.write_all(writes, writer);
        }
    }

    fn write_all(&self, writes: VecDeque<Write>, writer: &Writer) {
        let mut failure = None;
        for write in writes {
            let length = write.length();
            if failure.is_none() {
                failure = self.write(&write).err().map(|error| failure_of(&error));
            }
            writer.remove_waiting(length);
            metrics::written(length as u64);
            let mut waiting = self.lock();
            waiting.bytes = waiting.bytes.saturating_sub(length);
            waiting.progress = Instant::now();
            if failure.is_some() {
                // What would follow is worth nothing behind a hole.
                waiting.failure = failure;
                let dropped: usize = waiting.writes.drain(..).map(|write| write.length()).sum();
                waiting.bytes = waiting.bytes.saturating_sub(dropped);
                writer.remove_waiting(dropped);
            }
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
                *self.lock_settled() = Final::default();
                self.synced.store(u64::MAX, Ordering::Release);
            }
            Write::Settle(settled) => self.lock_settled().written = Some(*settled),
            Write::Patch { offset, bytes } => {
                self.file.write_at(bytes, *offset)?;
                self.synced.store(u64::MAX, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Forces what was written to disk, if anything was since the last time; whether it did.
    pub fn sync(&self) -> bool {
        // Before the sync: what becomes final while it runs may not be on disk when it ends.
        let settled = self.lock_settled().written;
        let written = self.written.load(Ordering::Acquire);
        let stale = self.synced.swap(written, Ordering::AcqRel) != written;
        if stale && self.file.sync().is_err() {
            self.lock().failure.get_or_insert(SpoolFailure::Broken);
        }
        // After a sync that failed nobody knows what is on disk (fsync(2)).
        if self.lock().failure != Some(SpoolFailure::Broken) {
            self.lock_settled().durable = settled;
        }
        stale
    }

    /// What is final and on disk.
    pub fn durable(&self) -> Option<FinalBytes> {
        self.lock_settled().durable
    }

    /// How long the recording is, and the bytes of it in the file, final or not.
    pub fn recorded(&self) -> (Duration, u64) {
        let time = Duration::from_nanos(self.recorded.load(Ordering::Relaxed));
        (time, self.written.load(Ordering::Relaxed))
    }

    fn lock_settled(&self) -> MutexGuard<'_, Final> {
        // The holder only moves values; it can't leave them half changed.
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forces everything to disk.
    pub fn sync_all(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The holder only moves values; it can't leave them half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write {
    fn length(&self) -> usize {
        match self {
            Self::Append(bytes) | Self::Patch { bytes, .. } => bytes.len(),
            Self::Restart | Self::Settle(_) => 0,
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
