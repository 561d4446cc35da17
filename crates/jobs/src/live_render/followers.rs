//! Who follows what on this node.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
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
use tracing::Instrument;

use super::follower::{self, Grown, Promotion};
use crate::{OpenFile, RenderError, Rendered, dispatch::Context, metrics};

/// A recording, and the parameters of a rendition of it.
pub(crate) type Key = (RecordingId, Arc<str>);

/// The followers of this node. One that can't go on stays until its recording has ended, so that it is not begun again
/// with every look.
#[derive(Default)]
pub(crate) struct Followers {
    followers: Mutex<HashMap<Key, Follower>>,
}

struct Follower {
    grown: watch::Sender<Grown>,
    promotions: mpsc::Sender<Promotion>,
    task: JoinHandle<()>,
    /// It waits for another track.
    rests: Arc<AtomicBool>,
    /// When its file was first seen to grow no longer.
    ended: Option<Instant>,
}

impl Follower {
    fn is_at_work(&self) -> bool {
        !self.task.is_finished() && !self.rests.load(Ordering::Relaxed)
    }
}

impl Followers {
    /// A file has grown. It is followed once it is longer than a segment, and if there is room for another follower.
    pub fn see(&self, context: &Arc<Context>, file: &OpenFile, parameters: &Arc<str>) {
        let &OpenFile { until, time, entries, recorded, bytes, .. } = file;
        let now = Grown { until, entries, recorded: recorded.max(time), bytes: bytes.max(until) };
        let key = (file.recording, Arc::clone(parameters));
        let mut followers = self.lock();
        if let Some(follower) = followers.get(&key) {
            follower.grown.send_if_modified(|grown| std::mem::replace(grown, now) != now);
            return;
        }
        let segments = &context.config.segments;
        let running = followers.values().filter(|follower| follower.is_at_work()).count();
        if file.time < segments.interval || running >= segments.followers {
            return;
        }
        let (grown, seen) = watch::channel(now);
        let (promotions, asked) = mpsc::channel(1);
        let span = tracing::info_span!("follow", recording_id = %file.recording, parameters = %parameters);
        let rests = Arc::<AtomicBool>::default();
        let (shared, path, resting) = (Arc::clone(context), file.path.clone(), Arc::clone(&rests));
        let work = follower::run(shared, key.clone(), path, seen, asked, resting);
        let task = tokio::spawn(work.instrument(span));
        followers.insert(key, Follower { grown, promotions, task, rests, ended: None });
        metrics::followers(running + 1);
    }

    /// Ends those whose files have not grown for `patience`, and that nobody has asked for since.
    pub fn retire(&self, growing: &HashSet<Key>, patience: Duration) {
        let (mut followers, now) = (self.lock(), Instant::now());
        followers.retain(|key, follower| {
            if growing.contains(key) {
                return true;
            }
            let ended = *follower.ended.get_or_insert(now);
            !follower.task.is_finished() && now.duration_since(ended) < patience
        });
        metrics::followers(followers.values().filter(|follower| follower.is_at_work()).count());
    }

    /// Has the segments of a recording that ended with so many `bytes` joined. None: nobody has followed it to its end.
    pub async fn promote(
        &self,
        key: &Key,
        bytes: u64,
        output: &Path,
    ) -> Option<Result<Rendered, RenderError>> {
        let promotions = self.lock().get(key)?.promotions.clone();
        let (answer, answered) = oneshot::channel();
        promotions.send(Promotion { bytes, output: output.to_owned(), answer }).await.ok()?;
        answered.await.ok()
    }

    /// Whether a rendition of the recording is being followed.
    pub fn follows(&self, recording: RecordingId) -> bool {
        self.lock().keys().any(|(followed, _)| *followed == recording)
    }

    /// Ends all, and returns when they have.
    pub async fn stop(&self) {
        let followers = std::mem::take(&mut *self.lock());
        for (_, Follower { grown, promotions, task, .. }) in followers {
            // It ends when nobody tells it any more.
            drop((grown, promotions));
            let _ = task.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Follower>> {
        // The holder only adds and removes; it can't leave an entry half changed.
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
