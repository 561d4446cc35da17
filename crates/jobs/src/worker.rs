//! The workers: lease jobs while one is due and a worker is free, and run the periodic tasks.

use std::{sync::Arc, time::Duration};

use blob::BlobStore;
use model::JobKind;
use store::{LeasedJob, Store, StoreError};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    DefaultRenditions, JobsConfig, OpenFiles, Renderer,
    context::Context,
    lease::Lease,
    live_render::{self, followers::Followers},
    live_upload::{self, registry::LiveUploads},
    maintenance,
    retry::backoff,
    work_directory,
};

/// One clean-up at a time is fast enough: no upload waits for it.
const CLEAN_UP_WORKERS: usize = 1;
/// One deletion at a time is fast enough, too.
const DELETE_WORKERS: usize = 1;
/// The longest wait before jobs are leased again after an error of the database.
const MAX_STORE_BACKOFF: Duration = Duration::from_secs(30);

/// The running workers of a node.
pub struct Workers {
    tasks: TaskTracker,
    context: Arc<Context>,
    shutdown: CancellationToken,
}

impl Workers {
    /// Starts the workers, and the periodic tasks that every node runs. They stop when `shutdown` is cancelled; running jobs
    /// are cancelled and their leases are given back.
    ///
    /// Removes what an earlier run of the process left in the directories of renders and segments.
    #[must_use]
    pub fn spawn(
        config: JobsConfig,
        store: Arc<dyn Store>,
        blobs: Arc<dyn BlobStore>,
        renderer: Arc<dyn Renderer>,
        shutdown: CancellationToken,
    ) -> Self {
        let config = config.bounded();
        if let Err(error) = work_directory::sweep(&config.workers.work_directory) {
            tracing::warn!(path = %config.workers.work_directory.display(), %error, "work directories of an earlier run can't be removed");
        }
        // No follower runs yet, so every segment is of an earlier run.
        if let Err(error) = live_render::sweep(&config.segments.directory, Duration::ZERO, |_| false) {
            tracing::warn!(path = %config.segments.directory.display(), %error, "old segments can't be removed");
        }
        let pools = [
            (JobKind::Upload, config.workers.upload_workers),
            (JobKind::CleanUp, CLEAN_UP_WORKERS),
            (JobKind::Render, config.workers.transcoding_workers),
            (JobKind::Delete, DELETE_WORKERS),
        ];
        let context = Arc::new(Context {
            config,
            store,
            blobs,
            renderer,
            live_uploads: LiveUploads::default(),
            followers: Followers::default(),
            run: Uuid::new_v4(),
        });
        let workers = Self { tasks: TaskTracker::new(), context, shutdown };
        for (kind, size) in pools {
            let (context, shutdown) = (Arc::clone(&workers.context), workers.shutdown.clone());
            workers.tasks.spawn(WorkerPool { kind, size, context, shutdown }.run());
        }
        workers.repeat(maintenance::tasks(&workers.context));
        workers.tasks.close();
        workers
    }

    /// Uploads the open files and makes their renditions while they are open, and runs the periodic tasks for orphaned
    /// uploads, old segments and lost nodes. Without this call all of that is left to the jobs after the recording's end, and
    /// no lost node is noticed.
    ///
    /// `default_renditions` are requested of the recordings of lost nodes.
    pub fn watch_open_files(&self, open_files: Arc<dyn OpenFiles>, default_renditions: DefaultRenditions) {
        let (context, shutdown) = (&self.context, &self.shutdown);
        self.tasks.spawn(live_upload::run(context.clone(), open_files.clone(), shutdown.clone()));
        self.tasks.spawn(live_render::run(context.clone(), open_files.clone(), shutdown.clone()));
        self.repeat(maintenance::tasks_of_open_files(context, open_files, default_renditions));
    }

    /// Waits until everything has stopped: after the cancellation some seconds, even if the database does not answer.
    pub async fn stopped(self) {
        self.tasks.wait().await;
    }

    fn repeat(&self, tasks: Vec<maintenance::Periodic>) {
        for task in tasks {
            self.tasks.spawn(task.repeat(self.context.clone(), self.shutdown.clone()));
        }
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// The workers for one kind of job.
struct WorkerPool {
    kind: JobKind,
    /// Jobs at a time.
    size: usize,
    context: Arc<Context>,
    shutdown: CancellationToken,
}

impl WorkerPool {
    async fn run(self) {
        let (mut running, mut failures) = (JoinSet::new(), 0);
        let (config, store) = (&self.context.config, &self.context.store);
        while !self.shutdown.is_cancelled() {
            while running.try_join_next().is_some() {}
            if running.len() >= self.size {
                self.shutdown.run_until_cancelled(running.join_next()).await;
                continue;
            }
            let asked = Instant::now();
            // Not cancelled by the shutdown: the database may have committed the lease, and then it has to be given back.
            match store.lease(&config.node, &[self.kind], config.workers.lease.0).await {
                Ok(Some(leased)) => {
                    failures = 0;
                    running.spawn(self.job(leased, asked));
                }
                Ok(None) => {
                    failures = 0;
                    self.shutdown.run_until_cancelled(store.wait_for_jobs(config.workers.poll.0)).await;
                }
                Err(error) => {
                    failures += 1;
                    self.wait_after(&error, failures).await;
                }
            }
        }
        running.join_all().await;
    }

    /// One run of a job, in its span.
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
            tracing::debug!(lease = ?context.config.workers.lease.0, "job leased");
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
        let wait = backoff(config.workers.first_backoff.0, MAX_STORE_BACKOFF, failures, rand::random());
        tracing::warn!(kind = %self.kind, %error, ?wait, failures, "no job could be leased");
        self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}
