//! What the clones of a [`Capture`](crate::Capture) share.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use model::{EndReason, SessionId};
use spool::{Files, OpenFiles, Spool, Writers};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    CaptureConfig, Ledger,
    error::CaptureError,
    registry::{Entry, Registry, SessionHost},
    session::{finalizing::Finalizer, statistics::SessionStatistics},
    shard::{Command, Shard, ShardGone},
    source::control::{self, Control},
};

/// A shard or a task that takes longer to answer is stuck.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How long a shutdown waits until it stops the remaining sessions again.
const STOP_AGAIN: Duration = Duration::from_millis(200);

/// The live sessions of a node, and everything that they need.
pub(crate) struct Node {
    pub(crate) config: CaptureConfig,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) draining: AtomicBool,
    pub(crate) open_files: OpenFiles,
    pub(crate) finalizer: Arc<Finalizer>,
    /// Begins, sources, listeners and connections.
    pub(crate) tasks: TaskTracker,
    pub(crate) cancelled: CancellationToken,
    // Dropped in this order: the shards use the writers.
    pub(crate) shards: Vec<Shard>,
    pub(crate) writers: Writers,
    pub(crate) spool: Arc<Spool>,
}

impl Node {
    pub(crate) fn shard(&self, number: usize) -> Result<&Shard, ShardGone> {
        self.shards.get(number).ok_or(ShardGone)
    }

    /// Refuses while the node drains.
    pub(crate) fn check_open(&self) -> Result<(), CaptureError> {
        if self.draining.load(Ordering::Acquire) { Err(CaptureError::Draining) } else { Ok(()) }
    }

    /// The counters of all sessions that are not being finalized.
    pub(crate) async fn statistics(&self) -> HashMap<SessionId, SessionStatistics> {
        let mut all = HashMap::new();
        for shard in &self.shards {
            // A stuck shard must not hide the sessions of the others.
            let sessions =
                timeout(ANSWER_DEADLINE, shard.statistics()).await.ok().flatten().unwrap_or_default();
            all.extend(sessions.into_iter().map(|session| (session.id, session)));
        }
        let tasks = self.registry.all(None).into_iter().map(|entry| async move {
            let SessionHost::Task(controls) = entry.host else { return None };
            timeout(ANSWER_DEADLINE, control::statistics(&controls)).await.ok().flatten()
        });
        all.extend(join_all(tasks).await.into_iter().flatten().map(|session| (session.id, session)));
        all
    }

    /// Ends a session. Does nothing if it is ending already.
    pub(crate) async fn stop(&self, entry: &Entry, reason: EndReason) -> Result<(), ShardGone> {
        match &entry.host {
            SessionHost::Shard(shard) => {
                self.shard(*shard)?.send(Command::Stop { id: entry.id, reason }).await
            }
            SessionHost::Task(controls) => {
                // A task that is gone has given its session to the finalizer.
                let _ = controls.send(Control::Stop(reason)).await;
                Ok(())
            }
        }
    }

    /// Stops every session and waits until the last one is committed.
    pub(crate) async fn stop_all(&self) {
        let mut count = self.registry.watch_count();
        while self.registry.count() > 0 {
            for entry in self.registry.all(None) {
                // A shard that is gone has no sessions to stop.
                let _ = self.stop(&entry, EndReason::Shutdown).await;
            }
            // A session that began meanwhile may have missed its stop.
            let _ = timeout(STOP_AGAIN, count.wait_for(|count| *count == 0)).await;
        }
        self.finalizer.tasks.close();
        self.finalizer.tasks.wait().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cancelled.cancel();
    }
}
