//! A job under its lease: renewed while the job runs, lost if that fails for too long, given back at shutdown.

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
    dispatch::{Context, perform},
    metrics,
    retry::{after_failure, backoff},
};

/// How long a cancelled run has to clean up behind itself (to remove the parts of an upload), and how long its end may
/// take to be written down at shutdown.
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
    /// When the lease is over by our own clock, counted from before it was asked for, so never too late.
    over: Instant,
}

impl<'a> Lease<'a> {
    /// `asked`: when the lease was asked for.
    pub fn new(context: &'a Context, leased: LeasedJob, asked: Instant) -> Self {
        let over = asked + context.config.lease;
        Self { context, leased, over }
    }

    /// Runs the job and writes down how that ended.
    pub async fn run(mut self, shutdown: &CancellationToken) {
        let (kind, begun) = (self.leased.job.kind, Instant::now());
        metrics::started(kind);
        let end = self.work(shutdown).await;
        metrics::took(kind, begun.elapsed());
        match end {
            End::LeaseLost => {
                metrics::lease_lost(kind);
                tracing::warn!("the lease was lost: another worker may have the job");
            }
            End::Cancelled => {
                metrics::cancelled(kind);
                tracing::info!(took = ?begun.elapsed(), "job cancelled");
            }
            End::Shutdown => self.give_back(shutdown).await,
            End::Finished(Ok(outcome @ JobOutcome::Later { .. })) => {
                metrics::put_off(kind);
                tracing::debug!(?outcome, "job put off");
                self.finish(outcome, shutdown).await;
            }
            End::Finished(Ok(outcome)) => {
                metrics::succeeded(kind);
                tracing::info!(took = ?begun.elapsed(), "job done");
                self.finish(outcome, shutdown).await;
            }
            End::Finished(Err(error)) => {
                let (config, attempt) = (&self.context.config, self.leased.job.attempts);
                let outcome = after_failure(config, kind, attempt, &error, Utc::now());
                match &outcome {
                    JobOutcome::Parked { .. } => {
                        metrics::parked(kind);
                        tracing::error!(%error, "job parked: a person has to look");
                    }
                    outcome => {
                        metrics::failed(kind);
                        tracing::warn!(%error, ?outcome, "job failed, to be repeated");
                    }
                }
                self.finish(outcome, shutdown).await;
            }
        }
    }

    /// Leaves the job to whoever is next, now. It has not failed: however often a recorder is restarted, that parks no job.
    pub async fn give_back(self, shutdown: &CancellationToken) {
        tracing::info!("job given back at shutdown");
        self.finish(JobOutcome::Later { at: Utc::now() }, shutdown).await;
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> End {
        let mut changes = self.context.store.changes();
        let (cancel, leased) = (CancellationToken::new(), self.leased.clone());
        let work = perform(self.context, &leased, &cancel);
        tokio::pin!(work);
        let why = tokio::select! {
            result = &mut work => return match result {
                Err(JobError::Store(StoreError::LeaseLost(_))) => End::LeaseLost,
                result => End::Finished(result),
            },
            () = self.keep() => End::LeaseLost,
            () = cancelled(&mut changes, leased.job.id) => End::Cancelled,
            () = shutdown.cancelled() => End::Shutdown,
        };
        cancel.cancel();
        match (timeout(STOP_PATIENCE, work).await, why) {
            // It came to its end all the same, and we are still entitled to write that down.
            (Ok(Ok(outcome)), End::Shutdown) => End::Finished(Ok(outcome)),
            (_, why) => why,
        }
    }

    /// Renews the lease at a third of its length. Returns when it is lost.
    async fn keep(&mut self) {
        let length = self.context.config.lease;
        let mut next = self.over - length + length / 3;
        loop {
            sleep_until(next.min(self.over)).await;
            let asked = Instant::now();
            match timeout_at(self.over, self.context.store.renew(&self.leased, length)).await {
                Ok(Ok(_)) => {
                    self.over = asked + length;
                    next = asked + length / 3;
                }
                Err(_) | Ok(Err(StoreError::LeaseLost(_))) => return,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lease could not be renewed yet");
                    next = asked + length / 12;
                }
            }
            if Instant::now() >= self.over {
                return;
            }
        }
    }

    /// Writes down the end, as often as it takes, while the lease lasts. If that fails the job is run again when the
    /// lease is over: jobs can be repeated.
    async fn finish(self, outcome: JobOutcome, shutdown: &CancellationToken) {
        let stopping = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP_PATIENCE).await;
        };
        tokio::select! {
            written = timeout_at(self.over, self.write(&outcome)) => match written {
                Ok(Ok(())) => count_next(&outcome),
                Ok(Err(error @ StoreError::LeaseLost(_))) => {
                    tracing::info!(%error, "the job was cancelled or taken over as it ended");
                }
                Ok(Err(error)) => tracing::error!(%error, ?outcome, "the job's end could not be written down"),
                Err(_) => tracing::warn!(?outcome, "the lease ended before the job's end could be written down"),
            },
            () = stopping => tracing::warn!(?outcome, "no time left to write down the job's end"),
        }
    }

    async fn write(&self, outcome: &JobOutcome) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            match self.context.store.finish(&self.leased, outcome.clone()).await {
                Err(error) if error.is_transient() => {
                    attempt += 1;
                    let (first, max) = (Duration::from_millis(200), Duration::from_secs(5));
                    tracing::debug!(%error, attempt, "the job's end is to be written again");
                    tokio::time::sleep(backoff(first, max, attempt, rand::random())).await;
                }
                result => return result,
            }
        }
    }
}

/// Returns when the job is cancelled by this node or, on Postgres, by any. What is missed here is noticed when progress
/// is written down or the lease is to be renewed.
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
