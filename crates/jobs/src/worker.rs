//! Takes jobs from the queue as long as there is a free place for them.

use std::{sync::Arc, time::Duration};

use blob::BlobStore;
use model::{JobKind, Recording};
use store::{LeasedJob, NewRendition, Store, StoreError};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    JobsConfig, OpenFiles, Renderer,
    dispatch::Context,
    lease::Lease,
    live_render::{self, Followers},
    live_upload::{self, LiveUploads},
    maintenance::{lost_nodes, old_segments, orphaned_uploads, queue_gauge, retention},
    retry::backoff,
    work_directory,
};

/// Clean-ups at a time: they wait for no upload, and one after the other is quick enough.
const CLEAN_UP_WORKERS: usize = 1;
/// Deletions at a time: they are quick, too.
const DELETE_WORKERS: usize = 1;
/// The longest wait before a database that failed is asked for jobs again.
const MAX_STORE_BACKOFF: Duration = Duration::from_secs(30);

/// What is to be made of a recording without anybody asking, as it ends.
pub type DefaultRenditions = Arc<dyn Fn(&Recording) -> Vec<NewRendition> + Send + Sync>;

/// The running workers.
pub struct Workers {
    tasks: TaskTracker,
    context: Arc<Context>,
    shutdown: CancellationToken,
}

impl Workers {
    /// Starts them. They stop when `shutdown` is cancelled, giving their leases back.
    #[must_use]
    pub fn spawn(
        config: JobsConfig,
        store: Arc<dyn Store>,
        blobs: Arc<dyn BlobStore>,
        renderer: Arc<dyn Renderer>,
        shutdown: CancellationToken,
    ) -> Self {
        let config = config.bounded();
        let tasks = TaskTracker::new();
        if let Err(error) = work_directory::sweep(&config.work) {
            tracing::warn!(path = %config.work.display(), %error, "what renders left can't be removed");
        }
        // No follower lives: what is there is of an earlier run.
        if let Err(error) = live_render::sweep(&config.segments.directory, Duration::ZERO, |_| false) {
            tracing::warn!(path = %config.segments.directory.display(), %error, "old segments can't be removed");
        }
        let lanes = [
            (JobKind::Upload, config.upload_workers),
            (JobKind::CleanUp, CLEAN_UP_WORKERS),
            (JobKind::Render, config.render_workers),
            (JobKind::Delete, DELETE_WORKERS),
        ];
        let (streams, followers, run) = (LiveUploads::default(), Followers::default(), Uuid::new_v4());
        let shared = Context { config, store: store.clone(), blobs, renderer, streams, followers, run };
        let context = Arc::new(shared);
        for (kind, places) in lanes {
            let lane = Lane { kind, places, context: context.clone(), shutdown: shutdown.clone() };
            tasks.spawn(lane.run());
        }
        let (keeper, stop) = (context.clone(), shutdown.clone());
        tasks.spawn(async move {
            let (rules, every) = (&keeper.config.retention, keeper.config.retention_interval);
            retention::keep(rules, every, &*keeper.store, &stop).await;
        });
        let stop = shutdown.clone();
        tasks.spawn(async move { queue_gauge::keep(&*store, &stop).await });
        tasks.close();
        Self { tasks, context, shutdown }
    }

    /// Sends the files that grow on this node while they do, makes of them what is wanted by then, and looks after uploads
    /// and segments that nobody ends. Without it all that is done when they are sealed.
    ///
    /// What a node that is lost had sent is made a recording; `wishes` says what is to be made of it. Recordings of which it
    /// had sent nothing are given up until it is back.
    pub fn stream(&self, growing: Arc<dyn OpenFiles>, wishes: DefaultRenditions) {
        self.tasks.spawn(live_upload::run(self.context.clone(), growing.clone(), self.shutdown.clone()));
        self.tasks.spawn(orphaned_uploads::run(self.context.clone(), wishes, self.shutdown.clone()));
        self.tasks.spawn(lost_nodes::run(self.context.clone(), growing.clone(), self.shutdown.clone()));
        self.tasks.spawn(live_render::run(self.context.clone(), growing, self.shutdown.clone()));
        self.tasks.spawn(old_segments::run(self.context.clone(), self.shutdown.clone()));
    }

    /// Returns when all have stopped: within some seconds of the cancellation, if the database answers.
    pub async fn stopped(self) {
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// The workers for one kind of job.
struct Lane {
    kind: JobKind,
    places: usize,
    context: Arc<Context>,
    shutdown: CancellationToken,
}

impl Lane {
    async fn run(self) {
        let (mut running, mut failures) = (JoinSet::new(), 0);
        while !self.shutdown.is_cancelled() {
            while running.try_join_next().is_some() {}
            if running.len() >= self.places {
                self.shutdown.run_until_cancelled(running.join_next()).await;
                continue;
            }
            let asked = Instant::now();
            // Not cancelled by the shutdown: a lease may be given even if nobody waits for the answer any more.
            match self
                .context
                .store
                .lease(&self.context.config.node, &[self.kind], self.context.config.lease)
                .await
            {
                Ok(Some(leased)) => {
                    failures = 0;
                    running.spawn(self.job(leased, asked));
                }
                Ok(None) => {
                    failures = 0;
                    let jobs = self.context.store.wait_for_jobs(self.context.config.poll);
                    self.shutdown.run_until_cancelled(jobs).await;
                }
                Err(error) => {
                    failures += 1;
                    self.wait_after(&error, failures).await;
                }
            }
        }
        running.join_all().await;
    }

    /// One job, in its span.
    fn job(&self, leased: LeasedJob, asked: Instant) -> impl Future<Output = ()> + Send + 'static {
        let job = &leased.job;
        let span = tracing::info_span!(
            "job",
            job_id = %job.id,
            recording_id = %job.recording,
            kind = %job.kind,
            attempt = job.attempts,
        );
        let (context, shutdown) = (self.context.clone(), self.shutdown.clone());
        async move {
            let lease = Lease::new(&context, leased, asked);
            if shutdown.is_cancelled() {
                lease.give_back(&shutdown).await;
            } else {
                lease.run(&shutdown).await;
            }
        }
        .instrument(span)
    }

    async fn wait_after(&self, error: &StoreError, failures: u32) {
        let config = &self.context.config;
        let wait = backoff(config.first_backoff, MAX_STORE_BACKOFF, failures, rand::random());
        tracing::warn!(kind = %self.kind, %error, ?wait, "no job could be leased");
        self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}
