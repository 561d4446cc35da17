//! The threads that write and sync. A session belongs to one writer, so its writes stay in order.
//!
//! A slow disk fills queues up to their budget and then ends sessions ([`SpoolFailure::Stalled`]). It never blocks a
//! session. Syncing has threads of its own, because a slow sync must not delay appends. On drop the writers write what
//! is queued and end.
//!
//! [`SpoolFailure::Stalled`]: crate::SpoolFailure::Stalled

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    metrics,
    queue::{Queue, WaitingBytes},
};

/// How long a writer collects work before it begins, so that many sessions cost one wake-up. A crash can lose the
/// writes of this time.
const COLLECT: Duration = Duration::from_millis(100);

/// One writer: the queues with something to write, and the queues to sync.
#[derive(Debug, Default)]
pub struct Writer {
    state: Mutex<State>,
    /// A queue was scheduled, or the writer is to stop.
    wake: Condvar,
    /// The syncer is to stop.
    wake_syncer: Condvar,
    waiting_bytes: Arc<WaitingBytes>,
}

#[derive(Debug, Default)]
struct State {
    /// Holds each queue at most once.
    ready: VecDeque<Arc<Queue>>,
    /// A session's end waits for one of them: the writer begins at once.
    urgent: bool,
    /// Each open file.
    files: Vec<Weak<Queue>>,
    stopping: bool,
}

/// The writer threads of a spool, and a syncer for each.
#[derive(Debug)]
pub struct Writers {
    writers: Vec<Arc<Writer>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts `count` writers, at least one. Each open file is forced to disk every `sync_interval`.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(count: usize, sync_interval: Duration) -> io::Result<Self> {
        let waiting_bytes = Arc::<WaitingBytes>::default();
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
    #[must_use]
    pub fn of(&self, id: model::SessionId) -> Arc<Writer> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let index = hasher.finish() % self.writers.len() as u64;
        // `start` makes at least one, and the index is a remainder by their number.
        Arc::clone(&self.writers[index as usize])
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
            // The panic hook has reported a writer that panicked.
            let _ = thread.join();
        }
    }
}

impl Writer {
    /// Puts a queue on the list.
    pub(crate) fn schedule(&self, queue: Arc<Queue>) {
        let mut state = self.lock();
        state.ready.push_back(queue);
        // With more than one on the list, the writer is awake already.
        if state.ready.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// A queue on the list is to be written at once.
    pub(crate) fn hurry(&self) {
        self.lock().urgent = true;
        self.wake.notify_one();
    }

    /// Forces the file to disk at each interval, as long as its queue lives.
    pub(crate) fn sync_regularly(&self, queue: &Arc<Queue>) {
        self.lock().files.push(Arc::downgrade(queue));
    }

    pub(crate) fn waiting_bytes(&self) -> Arc<WaitingBytes> {
        Arc::clone(&self.waiting_bytes)
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
            let collecting = |state: &mut State| !state.urgent && !state.stopping;
            let waited = self.wake.wait_timeout_while(state, COLLECT, collecting);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.urgent = false;
            let ready = std::mem::take(&mut state.ready);
            drop(state);
            for queue in ready {
                queue.write_out();
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
        // The holder only moves values and can't leave them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
