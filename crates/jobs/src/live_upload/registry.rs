//! The uploads of open files on this node, and how much of each was sent.

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

/// The state of one upload, in addition to its journal.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    /// The multipart upload, once begun.
    pub upload: Option<OpenUpload>,
    /// Whether the upload is in the journal.
    pub journaled: bool,
    /// A part that was sent and is not in the journal yet.
    pub unjournaled_part: Option<UploadPart>,
    /// Track entries in the provisional part that was sent last. None: it was not sent.
    pub entries_sent: Option<usize>,
    /// Number of parts sent, without the first.
    pub parts: u32,
    /// Failures since the last success.
    pub failures: u32,
    /// Another node took this one for lost and completed the upload. The upload job sends the whole file.
    pub rescued: bool,
    /// After a failure: when to try again.
    pub not_before: Option<Instant>,
}

/// One upload. Its state is changed only under an [`UploadGuard`].
#[derive(Debug, Default)]
pub(crate) struct LiveUpload {
    state: Arc<AsyncMutex<UploadState>>,
    sent: Arc<AtomicU64>,
}

/// The exclusive right to work on an upload: of the sender, of the upload job, or of a periodic task.
#[derive(Debug)]
pub(crate) struct UploadGuard {
    state: OwnedMutexGuard<UploadState>,
    sent: Arc<AtomicU64>,
}

impl LiveUpload {
    /// The end of the bytes that were sent without a gap.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns an error while another guard exists.
    pub fn try_lock(&self) -> Result<UploadGuard, TryLockError> {
        let state = Arc::clone(&self.state).try_lock_owned()?;
        Ok(UploadGuard { state, sent: Arc::clone(&self.sent) })
    }

    /// Waits while another guard exists.
    pub async fn lock(&self) -> UploadGuard {
        let state = Arc::clone(&self.state).lock_owned().await;
        UploadGuard { state, sent: Arc::clone(&self.sent) }
    }
}

impl UploadGuard {
    /// Resets the state: nothing was sent.
    pub fn reset(&mut self) {
        *self.state = UploadState::default();
        self.set_sent(0);
    }

    /// Sets the end of the bytes that were sent.
    pub fn set_sent(&self, end: u64) {
        self.sent.store(end, Ordering::Relaxed);
    }
}

impl Deref for UploadGuard {
    type Target = UploadState;

    fn deref(&self) -> &UploadState {
        &self.state
    }
}

impl DerefMut for UploadGuard {
    fn deref_mut(&mut self) -> &mut UploadState {
        &mut self.state
    }
}

/// The uploads of open files on this node, and of finished files whose upload job runs.
#[derive(Debug, Default)]
pub(crate) struct LiveUploads {
    uploads: Mutex<HashMap<RecordingId, Arc<LiveUpload>>>,
}

impl LiveUploads {
    /// The recording's upload. Adds an empty one if there is none.
    pub fn of(&self, recording: RecordingId) -> Arc<LiveUpload> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(uploads.entry(recording).or_default())
    }

    /// Removes the upload of a recording whose object is complete.
    pub fn forget(&self, recording: RecordingId) {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(&recording);
    }

    /// Removes the uploads of files that are not `open` and that nobody works on. An upload that is not in the journal
    /// stays: only this registry knows it, and the upload job has to abort it.
    pub fn retain_open(&self, open: &HashSet<RecordingId>) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|recording, upload| {
            let idle = || upload.try_lock().is_ok_and(|state| state.upload.is_none() || state.journaled);
            open.contains(recording) || Arc::strong_count(upload) > 1 || !idle()
        });
    }
}
