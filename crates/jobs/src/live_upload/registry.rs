//! How far each upload of a growing file has come.

use std::{
    collections::{HashMap, HashSet},
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use blob::OpenUpload;
use model::RecordingId;
use store::UploadPart;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, TryLockError},
    time::Instant,
};

/// What is known of one upload beside its journal.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The upload, once it was begun.
    pub upload: Option<OpenUpload>,
    /// Whether it is in the journal.
    pub journaled: bool,
    /// A part that was sent and is not in the journal yet.
    pub unnoted: Option<UploadPart>,
    /// Header entries that the provisional first part has; none: it was not sent.
    pub entries_sent: Option<usize>,
    /// Parts sent, the first one not counted.
    pub parts: u32,
    /// Failures since the last success.
    pub failures: u32,
    /// Another node took ours for dead and completed what there was: the rest goes when the recording is sealed.
    pub rescued: bool,
    /// After a failure, nothing is tried before this.
    pub not_before: Option<Instant>,
}

/// One upload, which one at a time works on.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    state: Arc<AsyncMutex<State>>,
    sent: Arc<AtomicU64>,
}

/// The right to work on an upload.
#[derive(Debug)]
pub(crate) struct UploadGuard {
    state: OwnedMutexGuard<State>,
    sent: Arc<AtomicU64>,
}

impl Stream {
    /// The end of what was sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The turn, if nobody has it.
    pub fn try_lock(&self) -> Result<UploadGuard, TryLockError> {
        let state = Arc::clone(&self.state).try_lock_owned()?;
        Ok(UploadGuard { state, sent: Arc::clone(&self.sent) })
    }

    /// The turn, when it is free.
    pub async fn lock(&self) -> UploadGuard {
        let state = Arc::clone(&self.state).lock_owned().await;
        UploadGuard { state, sent: Arc::clone(&self.sent) }
    }
}

impl UploadGuard {
    /// Begins anew: nothing is sent.
    pub fn reset(&mut self) {
        *self.state = State::default();
        self.set_sent(0);
    }

    /// Sets the end of what was sent.
    pub fn set_sent(&self, end: u64) {
        self.sent.store(end, Ordering::Relaxed);
    }
}

impl Deref for UploadGuard {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for UploadGuard {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// The uploads of files that grow here, and of those whose upload jobs run.
#[derive(Debug, Default)]
pub(crate) struct LiveUploads {
    streams: Mutex<HashMap<RecordingId, Arc<Stream>>>,
}

impl LiveUploads {
    /// That of a recording.
    pub fn of(&self, recording: RecordingId) -> Arc<Stream> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(streams.entry(recording).or_default())
    }

    /// Forgets one whose file is in the object store.
    pub fn forget(&self, recording: RecordingId) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&recording);
    }

    /// Forgets those of files that no longer grow and that nobody works on. What is not in the journal is known here
    /// alone: its upload job needs it.
    pub fn keep(&self, growing: &HashSet<RecordingId>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|recording, stream| {
            let idle = || stream.try_lock().is_ok_and(|state| state.upload.is_none() || state.journaled);
            growing.contains(recording) || Arc::strong_count(stream) > 1 || !idle()
        });
    }
}
