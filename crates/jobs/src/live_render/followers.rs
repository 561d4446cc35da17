//! Which renditions of open recordings are being made on this node.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::RecordingId;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{OpenFile, RenderError, Rendered, metrics};

/// A recording, and the parameters of a rendition of it.
pub(crate) type Key = (RecordingId, Arc<str>);

/// The state of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    /// The end of the final bytes that are durable.
    pub until: u64,
    /// Track entries in the header.
    pub entries: usize,
    /// The duration of the recording, including media that is not final.
    pub recorded: Duration,
    /// The size of the file, including bytes that are not final.
    pub bytes: u64,
}

impl FileState {
    pub fn of(file: &OpenFile) -> Self {
        let &OpenFile { until, time, entries, recorded, bytes, .. } = file;
        Self { until, entries, recorded: recorded.max(time), bytes: bytes.max(until) }
    }
}

/// The recording has ended: join its segments. The requester cancels by dropping the receiver of `answer`.
pub(crate) struct JoinRequest {
    /// The size of the finished file.
    pub bytes: u64,
    /// Where to write the rendition.
    pub output: PathBuf,
    /// Receives the result.
    pub answer: oneshot::Sender<Result<Rendered, RenderError>>,
}

/// The receiving ends of a follower's task.
pub(crate) struct Inbox {
    /// The file's state. Closed once the recording is not followed any more.
    pub file: watch::Receiver<FileState>,
    /// At most one request. Closed together with `file`.
    pub joins: mpsc::Receiver<JoinRequest>,
    /// Set by the task while it waits for another track.
    pub paused: Arc<AtomicBool>,
}

/// The followers of this node. A follower that failed for good stays listed until its recording has ended; otherwise each
/// look at the open files would start it again.
#[derive(Default)]
pub(crate) struct Followers {
    followers: Mutex<HashMap<Key, Follower>>,
}

struct Follower {
    file: watch::Sender<FileState>,
    joins: mpsc::Sender<JoinRequest>,
    task: JoinHandle<()>,
    paused: Arc<AtomicBool>,
    /// When the file was first seen closed.
    closed_at: Option<Instant>,
}

impl Follower {
    fn is_active(&self) -> bool {
        !self.task.is_finished() && !self.paused.load(Ordering::Relaxed)
    }
}

impl Followers {
    /// Sends the file's state to the rendition's follower. Returns false if there is none.
    pub fn update(&self, key: &Key, now: FileState) -> bool {
        let followers = self.lock();
        let Some(follower) = followers.get(key) else { return false };
        follower.file.send_if_modified(|file| std::mem::replace(file, now) != now);
        true
    }

    /// Starts a follower by `spawn`, unless `limit` are active. Returns whether it was started.
    pub fn start(
        &self,
        key: Key,
        now: FileState,
        limit: usize,
        spawn: impl FnOnce(Inbox) -> JoinHandle<()>,
    ) -> bool {
        let mut followers = self.lock();
        let active = followers.values().filter(|follower| follower.is_active()).count();
        if active >= limit {
            return false;
        }
        let (file, file_states) = watch::channel(now);
        let (joins, requests) = mpsc::channel(1);
        let paused = Arc::<AtomicBool>::default();
        let task = spawn(Inbox { file: file_states, joins: requests, paused: Arc::clone(&paused) });
        followers.insert(key, Follower { file, joins, task, paused, closed_at: None });
        metrics::followers(active + 1);
        true
    }

    /// Removes followers whose files have been closed for `wait` without a request to join their segments. Their tasks end.
    pub fn remove_unclaimed(&self, open: &HashSet<Key>, wait: Duration) {
        let (mut followers, now) = (self.lock(), Instant::now());
        followers.retain(|key, follower| {
            if open.contains(key) {
                return true;
            }
            let closed_at = *follower.closed_at.get_or_insert(now);
            !follower.task.is_finished() && now.duration_since(closed_at) < wait
        });
        metrics::followers(followers.values().filter(|follower| follower.is_active()).count());
    }

    /// Joins the segments of a recording whose finished file has `bytes` bytes. Returns None if no follower is there, or if
    /// it ended without an answer. Drop the future to cancel.
    pub async fn join(&self, key: &Key, bytes: u64, output: &Path) -> Option<Result<Rendered, RenderError>> {
        let joins = self.lock().get(key)?.joins.clone();
        let (answer, answered) = oneshot::channel();
        joins.send(JoinRequest { bytes, output: output.to_owned(), answer }).await.ok()?;
        answered.await.ok()
    }

    /// Returns whether any rendition of the recording has a follower.
    pub fn follows(&self, recording: RecordingId) -> bool {
        self.lock().keys().any(|(followed, _)| *followed == recording)
    }

    /// Stops all followers and waits for their tasks.
    pub async fn stop(&self) {
        let followers = std::mem::take(&mut *self.lock());
        for (_, Follower { file, joins, task, .. }) in followers {
            // The task ends when its channels are closed.
            drop((file, joins));
            let _ = task.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Follower>> {
        // No holder of the lock can leave an entry half changed, so a poisoned lock is still good.
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
