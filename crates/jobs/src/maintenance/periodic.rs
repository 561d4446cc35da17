//! The runner of periodic tasks.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{JobError, context::Context, metrics};

/// The longest interval between two tries to claim a run that one node does for all.
const CLAIM_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest interval. A shorter one would keep a core busy.
const SHORTEST: Duration = Duration::from_millis(10);

/// One run of a task.
pub(crate) type Run = Box<dyn Fn(Arc<Context>) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// Work that repeats at an interval. A run must be repeatable: shutdown drops it where it is.
pub(crate) struct Periodic {
    /// In metrics and logs; of a task with `leader_only` also in the database.
    pub name: &'static str,
    /// From the end of a run to the next one.
    pub every: Duration,
    /// One node of all runs it each `every`; the database decides which.
    pub leader_only: bool,
    pub run: Run,
}

impl Periodic {
    /// Runs once at the start and then at the interval, until `shutdown`. An error or a panic costs one run.
    pub async fn repeat(self, context: Arc<Context>, shutdown: CancellationToken) {
        let every = if self.leader_only { self.every.min(CLAIM_INTERVAL) } else { self.every };
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            let span = tracing::debug_span!("periodic_task", task = self.name);
            match shutdown.run_until_cancelled(self.run_if_due(&context).instrument(span)).await {
                Some(Ok(())) => {
                    if failures > 0 {
                        tracing::info!(task = self.name, failures, "periodic task works again");
                    }
                    failures = 0;
                }
                Some(Err(error)) => {
                    metrics::periodic_task_failed(self.name);
                    // Once per outage: the next failures of the same outage say nothing new.
                    if failures == 0 {
                        tracing::warn!(task = self.name, %error, "periodic task failed, to be repeated");
                    } else {
                        tracing::debug!(task = self.name, %error, failures, "periodic task failed again");
                    }
                    failures = failures.saturating_add(1);
                }
                None => return,
            }
            shutdown.run_until_cancelled(tokio::time::sleep(every.max(SHORTEST))).await;
        }
    }

    async fn run_if_due(&self, context: &Arc<Context>) -> Result<(), JobError> {
        if self.leader_only && !context.store.claim_run(self.name, self.every).await? {
            return Ok(());
        }
        let begun = Instant::now();
        let run = AssertUnwindSafe((self.run)(Arc::clone(context))).catch_unwind();
        let result = run.await.unwrap_or(Err(JobError::Panicked));
        metrics::periodic_task_ran(self.name, begun.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicU32, Ordering::SeqCst},
    };

    use blob::LocalDir;
    use model::{NodeId, Progress};
    use store_sqlite::SqliteStore;
    use tokio::sync::watch;
    use uuid::Uuid;

    use super::*;
    use crate::{
        FollowRequest, Following, JobsConfig, RenderError, RenderRequest, Rendered, Renderer,
        live_render::followers::Followers, live_upload::registry::LiveUploads,
    };

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    struct NoRenderer;

    #[async_trait::async_trait]
    impl Renderer for NoRenderer {
        async fn render(
            &self,
            _: RenderRequest<'_>,
            _: &CancellationToken,
            _: &watch::Sender<Progress>,
        ) -> Result<Rendered, RenderError> {
            Err(RenderError::Cancelled)
        }

        async fn follow(&self, _: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError> {
            Err(RenderError::Cancelled)
        }
    }

    async fn context(directory: &Path) -> Arc<Context> {
        let store = SqliteStore::open(directory.join("recorder.db")).await.unwrap();
        store.migrate().await.unwrap();
        Arc::new(Context {
            config: JobsConfig::new(NodeId::default(), directory.join("spool")),
            store: Arc::new(store),
            blobs: Arc::new(LocalDir::open(&directory.join("objects")).unwrap()),
            renderer: Arc::new(NoRenderer),
            live_uploads: LiveUploads::default(),
            followers: Followers::default(),
            run: Uuid::new_v4(),
        })
    }

    /// A task that counts its runs. `run` gets the number of the run, from 1.
    fn counted(
        every: Duration,
        leader_only: bool,
        run: impl Fn(u32) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync + 'static,
    ) -> (Periodic, Arc<AtomicU32>) {
        let runs = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&runs);
        let run: Run = Box::new(move |_| run(count.fetch_add(1, SeqCst) + 1));
        (Periodic { name: "test", every, leader_only, run }, runs)
    }

    async fn reaches(runs: &AtomicU32, number: u32) {
        let wait = async {
            while runs.load(SeqCst) < number {
                tokio::time::sleep(SHORT).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "{runs:?} runs");
    }

    #[tokio::test]
    async fn an_error_or_a_panic_costs_one_run() {
        let directory = tempfile::tempdir().unwrap();
        let (context, shutdown) = (context(directory.path()).await, CancellationToken::new());
        let (task, runs) = counted(SHORT, false, |run| {
            Box::pin(async move {
                match run {
                    1 => Err(JobError::NoRendition),
                    2 => panic!("by the test"),
                    _ => Ok(()),
                }
            })
        });
        let repeating = tokio::spawn(task.repeat(context, shutdown.clone()));
        reaches(&runs, 4).await;
        shutdown.cancel();
        repeating.await.unwrap();
    }

    #[tokio::test]
    async fn a_shutdown_ends_a_run_and_the_wait_for_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let (context, shutdown) = (context(directory.path()).await, CancellationToken::new());
        let (hangs, hanging) = counted(LONG, false, |_| Box::pin(std::future::pending()));
        let (waits, waiting) = counted(LONG, false, |_| Box::pin(async { Ok(()) }));
        let repeating = [
            tokio::spawn(hangs.repeat(context.clone(), shutdown.clone())),
            tokio::spawn(waits.repeat(context, shutdown.clone())),
        ];
        reaches(&hanging, 1).await;
        reaches(&waiting, 1).await;
        shutdown.cancel();
        for repeating in repeating {
            tokio::time::timeout(Duration::from_secs(60), repeating).await.unwrap().unwrap();
        }
        assert_eq!((hanging.load(SeqCst), waiting.load(SeqCst)), (1, 1));
    }

    #[tokio::test]
    async fn of_several_nodes_one_runs_a_task_that_one_runs_for_all() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (context(directory.path()).await, context(directory.path()).await);
        let shutdown = CancellationToken::new();
        let (first, first_runs) = counted(LONG, true, |_| Box::pin(async { Ok(()) }));
        let (second, second_runs) = counted(LONG, true, |_| Box::pin(async { Ok(()) }));
        let repeating = [
            tokio::spawn(first.repeat(one, shutdown.clone())),
            tokio::spawn(second.repeat(other, shutdown.clone())),
        ];
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(first_runs.load(SeqCst) + second_runs.load(SeqCst), 1);
        shutdown.cancel();
        for repeating in repeating {
            repeating.await.unwrap();
        }
    }
}
