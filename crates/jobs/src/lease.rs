//! A leased job: renews the lease while the job runs, ends the run if the lease is lost, gives the lease back at shutdown.

use std::time::Duration;

use chrono::Utc;
use model::JobId;
use store::{Change, JobOutcome, LeasedJob, StoreError};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    JobError,
    context::Context,
    dispatch::dispatch,
    metrics,
    retry::{after_failure, backoff},
};

/// How long a cancelled run may take to stop (to remove the parts of an upload), and how long its outcome may take to be
/// committed at shutdown.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How a run ended.
enum End {
    Finished(Result<JobOutcome, JobError>),
    LeaseLost,
    Cancelled,
    Shutdown,
}

/// A leased job.
pub(crate) struct Lease<'a> {
    context: &'a Context,
    leased: LeasedJob,
    /// When the lease runs out, by this process's clock. Counted from before the request for the lease, so never later than in
    /// the database.
    expires: Instant,
}

impl<'a> Lease<'a> {
    /// `asked`: when the lease was requested.
    pub fn new(context: &'a Context, leased: LeasedJob, asked: Instant) -> Self {
        let expires = asked + context.config.workers.lease.0;
        Self { context, leased, expires }
    }

    /// Runs the job and commits its outcome.
    pub async fn run(mut self, shutdown: &CancellationToken) {
        let (kind, begun) = (self.leased.job.kind, Instant::now());
        metrics::started(kind);
        let end = self.work(shutdown).await;
        let took = begun.elapsed();
        metrics::took(kind, took);
        match end {
            End::LeaseLost => {
                metrics::lease_lost(kind);
                tracing::warn!(?took, "job's lease lost: another worker may run the job");
            }
            End::Cancelled => {
                metrics::cancelled(kind);
                tracing::info!(?took, "job cancelled");
            }
            End::Shutdown => self.give_back(shutdown).await,
            End::Finished(Ok(outcome)) => {
                if let JobOutcome::Later { at } = &outcome {
                    metrics::put_off(kind);
                    tracing::debug!(%at, "job put off");
                } else {
                    metrics::succeeded(kind);
                    tracing::info!(?took, "job done");
                }
                self.commit(outcome, shutdown).await;
            }
            End::Finished(Err(error)) => {
                let (config, attempt) = (&self.context.config, self.leased.job.attempts);
                let outcome = after_failure(config, kind, attempt, &error, Utc::now());
                if let JobOutcome::RetryAt { at, .. } = &outcome {
                    metrics::failed(kind);
                    tracing::warn!(%error, ?took, %at, "job failed, to be retried");
                } else {
                    metrics::parked(kind);
                    tracing::error!(%error, ?took, "job parked: RetryJob resumes it");
                }
                self.commit(outcome, shutdown).await;
            }
        }
    }

    /// Makes the job due for the next worker. The attempt is not counted, so that restarts of the recorder park no job.
    pub async fn give_back(self, shutdown: &CancellationToken) {
        tracing::info!("job given back at shutdown");
        self.commit(JobOutcome::Later { at: Utc::now() }, shutdown).await;
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> End {
        let mut changes = self.context.store.changes();
        let (cancel, leased) = (CancellationToken::new(), self.leased.clone());
        let work = dispatch(self.context, &leased, &cancel);
        tokio::pin!(work);
        let end = tokio::select! {
            result = &mut work => return match result {
                Err(JobError::Store(StoreError::LeaseLost(_))) => End::LeaseLost,
                result => End::Finished(result),
            },
            () = self.renew() => End::LeaseLost,
            () = cancelled(&mut changes, leased.job.id) => End::Cancelled,
            () = shutdown.cancelled() => End::Shutdown,
        };
        cancel.cancel();
        match (timeout(STOP_PATIENCE, work).await, end) {
            // The run was done before it noticed the shutdown, and the lease is still good.
            (Ok(Ok(outcome)), End::Shutdown) => End::Finished(Ok(outcome)),
            (_, end) => end,
        }
    }

    /// Renews the lease whenever a third of its length has passed. Returns when the lease is lost.
    async fn renew(&mut self) {
        let length = self.context.config.workers.lease.0;
        let mut next = self.expires - length + length / 3;
        loop {
            sleep_until(next.min(self.expires)).await;
            let asked = Instant::now();
            match timeout_at(self.expires, self.context.store.renew(&self.leased, length)).await {
                Ok(Ok(_)) => {
                    self.expires = asked + length;
                    next = asked + length / 3;
                }
                Err(_) | Ok(Err(StoreError::LeaseLost(_))) => return,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "job's lease could not be renewed yet");
                    next = asked + length / 12;
                }
            }
            if Instant::now() >= self.expires {
                return;
            }
        }
    }

    /// Commits the outcome; retries while the lease lasts. If that fails the job is run again once the lease has run out:
    /// every job can be repeated.
    async fn commit(self, outcome: JobOutcome, shutdown: &CancellationToken) {
        let stopping = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP_PATIENCE).await;
        };
        tokio::select! {
            committed = timeout_at(self.expires, self.try_commit(&outcome)) => match committed {
                Ok(Ok(())) => count_next(&outcome),
                Ok(Err(error @ StoreError::LeaseLost(_))) => {
                    tracing::info!(%error, "outcome not committed: the job was cancelled or leased to another worker");
                }
                Ok(Err(error)) => tracing::error!(%error, ?outcome, "the job's outcome could not be committed"),
                Err(_) => tracing::warn!(?outcome, "the lease ran out before the job's outcome was committed"),
            },
            () = stopping => tracing::warn!(?outcome, "shutdown before the job's outcome was committed"),
        }
    }

    async fn try_commit(&self, outcome: &JobOutcome) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            match self.context.store.finish(&self.leased, outcome.clone()).await {
                Err(error) if error.is_transient() => {
                    attempt += 1;
                    let (first, max) = (Duration::from_millis(200), Duration::from_secs(5));
                    tracing::debug!(%error, attempt, "the job's outcome is not committed yet");
                    tokio::time::sleep(backoff(first, max, attempt, rand::random())).await;
                }
                result => return result,
            }
        }
    }
}

/// Returns when the job is cancelled: by this node, or on Postgres by any. A missed cancellation is noticed when progress is
/// committed or the lease is renewed.
async fn cancelled(changes: &mut broadcast::Receiver<Change>, id: JobId) {
    loop {
        match changes.recv().await {
            Ok(Change::Cancelled(cancelled)) if cancelled == id => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn count_next(outcome: &JobOutcome) {
    if let JobOutcome::Done { next, .. } = outcome {
        for job in next {
            metrics::enqueued(job.kind, 1);
        }
    }
}
