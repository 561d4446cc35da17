//! The threads that write and sync. A session belongs to one writer, so its writes keep their order.
//!
//! A slow disk makes queues grow up to their budget and then ends sessions ([`SpoolFailure::Stalled`]); it never
//! blocks a shard. Syncing has threads of its own, because a sync that takes long must not hold appends up. On drop
//! the writers write out what they have and end.
//!
//! [`SpoolFailure::Stalled`]: super::SpoolFailure::Stalled

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{metrics, queue::Queue};

/// How long a writer lets work gather before it begins, so that many sessions cost one wake-up. It adds to what a
/// crash can take.
const GATHER: Duration = Duration::from_millis(100);

/// One writer: a list of queues that have something to write, and the queues to sync.
#[derive(Debug, Default)]
pub struct Writer {
    state: Mutex<State>,
    /// Something was scheduled, or the end has come.
    wake: Condvar,
    /// The end has come, for the syncer.
    wake_syncer: Condvar,
    waiting_bytes: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct State {
    /// Each queue is in it at most once.
    ready: VecDeque<Arc<Queue>>,
    /// Somebody waits for one of them: nothing is gathered.
    urgent: bool,
    /// Each live file.
    files: Vec<Weak<Queue>>,
    stopping: bool,
}

/// All writers.
#[derive(Debug)]
pub struct Writers {
    writers: Vec<Arc<Writer>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts so many writers, and a syncer for each.
    pub fn start(count: usize, sync_interval: Duration) -> io::Result<Self> {
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let mut all = Self { writers: Vec::new(), threads: Vec::new() };
        for number in 0..count.max(1) {
            let writer = Arc::new(Writer { waiting_bytes: Arc::clone(&waiting_bytes), ..Writer::default() });
            all.writers.push(Arc::clone(&writer));
            let syncing = Arc::clone(&writer);
            all.threads.push(
                thread::Builder::new()
                    .name(format!("spool-writer-{number}"))
                    .spawn(move || writer.write_until_stopped())?,
            );
            all.threads.push(
                thread::Builder::new()
                    .name(format!("spool-sync-{number}"))
                    .spawn(move || syncing.sync_until_stopped(sync_interval))?,
            );
        }
        Ok(all)
    }

    /// The writer of a session.
    pub fn of(&self, id: model::SessionId) -> Arc<Writer> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let place = hasher.finish() % self.writers.len() as u64;
        // `start` makes at least one, and the place is a remainder by their number.
        Arc::clone(&self.writers[place as usize])
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for writer in &self.writers {
            writer.lock().stopping = true;
            writer.wake.notify_all();
            writer.wake_syncer.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A writer that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Writer {
    /// Puts a queue on the list.
    pub fn schedule(&self, queue: Arc<Queue>) {
        let mut state = self.lock();
        state.ready.push_back(queue);
        // With more than one on the list, the writer is awake or about to be.
        if state.ready.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// Somebody waits for a queue that is on the list.
    pub fn hurry(&self) {
        self.lock().urgent = true;
        self.wake.notify_one();
    }

    /// Syncs this file from now on, as long as it lives.
    pub fn watch(&self, queue: &Arc<Queue>) {
        self.lock().files.push(Arc::downgrade(queue));
    }

    pub fn add_waiting(&self, bytes: usize) {
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn remove_waiting(&self, bytes: usize) {
        let before = self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        metrics::waiting(before.saturating_sub(bytes));
    }

    fn write_until_stopped(&self) {
        loop {
            let mut state = self.lock();
            while state.ready.is_empty() {
                if state.stopping {
                    return;
                }
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let gathering = |state: &mut State| !state.urgent && !state.stopping;
            let waited = self.wake.wait_timeout_while(state, GATHER, gathering);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.urgent = false;
            let ready = std::mem::take(&mut state.ready);
            drop(state);
            for queue in ready {
                queue.write_out(self);
            }
        }
    }

    fn sync_until_stopped(&self, interval: Duration) {
        let mut next = Instant::now() + interval;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.stopping {
                return;
            }
            if now < next {
                state = self
                    .wake_syncer
                    .wait_timeout(state, next - now)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            state.files.retain(|file| file.strong_count() > 0);
            let files = state.files.clone();
            drop(state);
            for queue in files.iter().filter_map(Weak::upgrade) {
                let began = Instant::now();
                if queue.sync() {
                    metrics::synced(began.elapsed());
                }
            }
            next = (next + interval).max(Instant::now());
            state = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The holder only moves values; it can't leave them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
