//! From the last byte of a session to the database's commit. Retries until it succeeds: callers of Stop wait for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use media::RecordingSummary;
use model::{EndReason, Recording, SessionId};
use spool::{Queue, RecordingDirectory, RecoverError, SpoolFailure, WriteOutcome};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use super::state::{Action, Event, State, step};
use crate::{Ledger, metrics, registry::Registry};

/// The durable beginning of a session.
#[derive(Debug)]
pub(crate) struct BegunSession {
    /// The recording as it begins.
    pub(crate) recording: Recording,
    pub(crate) directory: RecordingDirectory,
    /// Answered once disk and ledger have the beginning. Closed if they never will: then the session is not finalized.
    pub(crate) committed: oneshot::Receiver<()>,
}

/// A session whose recorder has finished.
#[derive(Debug)]
pub(crate) struct EndedSession {
    pub(crate) id: SessionId,
    /// `Finalizing`.
    pub(crate) state: State,
    pub(crate) reason: EndReason,
    pub(crate) at: DateTime<Utc>,
    pub(crate) begun: BegunSession,
    pub(crate) queue: Arc<Queue>,
    pub(crate) written: oneshot::Receiver<WriteOutcome>,
    /// The recorder's summary of the file; none if the recorder did not finish.
    pub(crate) summary: Option<RecordingSummary>,
}

/// Finalizes sessions, each in a task of its own. Cancellation stops the tasks where they are: the next start completes
/// their work.
pub(crate) struct Finalizer {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) base_path: String,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancelled: CancellationToken,
}

/// Waits between retries: the wait doubles from `next` to `last`.
struct Backoff {
    next: Duration,
    last: Duration,
}

impl Backoff {
    fn new() -> Self {
        Self { next: Duration::from_millis(100), last: Duration::from_secs(15) }
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(self.last);
    }
}

impl Finalizer {
    /// Finalizes a session in the background.
    pub(crate) fn finalize(self: &Arc<Self>, ended: EndedSession) {
        let finalizer = Arc::clone(self);
        let task = async move {
            let cancelled = finalizer.cancelled.clone();
            cancelled.run_until_cancelled(finalizer.finalize_session(ended)).await;
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Commits a recording whose file was finished by recovery, in the background.
    pub(crate) fn commit_recovered(
        self: &Arc<Self>,
        directory: RecordingDirectory,
        recording: Recording,
    ) -> JoinHandle<()> {
        let finalizer = Arc::clone(self);
        let task = async move {
            let cancelled = finalizer.cancelled.clone();
            let commit = async {
                finalizer.commit(&recording).await;
                mark_committed(directory, recording).await;
            };
            cancelled.run_until_cancelled(commit).await;
        };
        self.tasks.spawn_on(task, &self.runtime)
    }

    async fn finalize_session(&self, mut ended: EndedSession) {
        let began = Instant::now();
        if (&mut ended.begun.committed).await.is_err() {
            // The session's beginning failed and is undone elsewhere.
            return;
        }
        let (id, state, reason) = (ended.id, ended.state, ended.reason);
        debug!(session_id = %id, %reason, "finalizing");
        let directory = ended.begun.directory.clone();
        // A writer that is gone has written an unknown part of the file.
        let lost = WriteOutcome { bytes: 0, failure: Some(SpoolFailure::Broken) };
        let written = (&mut ended.written).await.unwrap_or(lost);
        let recording = self.finish_file(ended, written).await;
        self.commit(&recording).await;
        let (_, actions) = step(state, Event::Committed, Instant::now());
        if actions.contains(&Action::Forget) {
            self.registry.commit(id, recording.clone());
        }
        metrics::session_ended(reason, began.elapsed());
        info!(
            session_id = %id,
            %reason,
            bytes = recording.bytes,
            media_ms = recording.duration.as_millis() as u64,
            finalize_ms = began.elapsed().as_millis() as u64,
            error = recording.error,
            "session committed"
        );
        mark_committed(directory, recording).await;
    }

    /// Finishes the file. Retries until the disk works.
    async fn finish_file(&self, ended: EndedSession, written: WriteOutcome) -> Recording {
        let ended = Arc::new(ended);
        let mut backoff = Backoff::new();
        loop {
            let (job, base_path) = (Arc::clone(&ended), self.base_path.clone());
            match spawn_blocking(move || job.finish_file(written, &base_path)).await {
                Ok(Ok(recording)) => return recording,
                Ok(Err(error)) => {
                    error!(session_id = %ended.id, %error, "finishing the file failed, retrying");
                }
                Err(error) => error!(session_id = %ended.id, %error, "finishing the file panicked, retrying"),
            }
            backoff.wait().await;
        }
    }

    /// Commits the recording to the ledger. Retries until it succeeds.
    async fn commit(&self, recording: &Recording) {
        let mut backoff = Backoff::new();
        while let Err(error) = self.ledger.finalized(recording).await {
            metrics::ledger_retry();
            warn!(recording_id = %recording.id, %error, "committing the recording failed, retrying");
            backoff.wait().await;
        }
    }
}

async fn mark_committed(directory: RecordingDirectory, recording: Recording) {
    let id = recording.id;
    match spawn_blocking(move || spool::mark_committed(&directory, recording)).await {
        Ok(Ok(())) => {}
        // The next start commits the recording again, which changes nothing.
        Ok(Err(error)) => warn!(recording_id = %id, %error, "noting the commit in the spool failed"),
        Err(error) => warn!(recording_id = %id, %error, "noting the commit in the spool failed"),
    }
}

impl EndedSession {
    fn finish_file(&self, written: WriteOutcome, base_path: &str) -> Result<Recording, RecoverError> {
        let end = spool::End { reason: self.reason, at: self.at };
        let BegunSession { recording, directory, .. } = &self.begun;
        match &self.summary {
            Some(summary) if spool::is_whole(summary, written) => {
                Ok(spool::finish_written(directory, &self.queue, recording, summary, end, base_path)?)
            }
            _ => spool::repair_and_finish(directory, recording, end, base_path),
        }
    }
}
