//! From the last byte to the commit. Goes on until it succeeds: whoever waits for a session's end waits for this.

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
use tracing::{error, info, warn};

use super::state::{Action, Event, State, step};
use crate::{Ledger, metrics, registry::Registry};

/// What is written down of a session when it begins.
#[derive(Debug)]
pub(crate) struct WrittenDown {
    /// The recording as it begins.
    pub(crate) begun: Recording,
    pub(crate) directory: RecordingDirectory,
    /// Answers once disk and ledger have it; closes if they never will.
    pub(crate) admitted: oneshot::Receiver<()>,
}

/// A session that has nothing left but to be sealed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: SessionId,
    /// `Sealing`.
    pub(crate) state: State,
    pub(crate) reason: EndReason,
    pub(crate) at: DateTime<Utc>,
    pub(crate) written_down: WrittenDown,
    pub(crate) queue: Arc<Queue>,
    pub(crate) written: oneshot::Receiver<WriteOutcome>,
    /// What the recorder says of the file; none if it never finished.
    pub(crate) summary: Option<RecordingSummary>,
}

/// Seals sessions, each in a task of its own. On cancellation the tasks stop where they are: the next start goes on.
pub(crate) struct Sealer {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) base_path: String,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancelled: CancellationToken,
}

/// Waits between tries: doubling from the first to the last.
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

impl Sealer {
    /// Seals a session in the background.
    pub(crate) fn seal(self: &Arc<Self>, ended: Ended) {
        let sealer = Arc::clone(self);
        let task = async move {
            let cancelled = sealer.cancelled.clone();
            cancelled.run_until_cancelled(sealer.seal_session(ended)).await;
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Hands a recording that is sealed on disk to the ledger, in the background.
    pub(crate) fn commit_recovered(
        self: &Arc<Self>,
        directory: RecordingDirectory,
        recording: Recording,
    ) -> JoinHandle<()> {
        let sealer = Arc::clone(self);
        let task = async move {
            let cancelled = sealer.cancelled.clone();
            let commit = async {
                sealer.tell_ledger(&recording).await;
                mark_committed(directory, recording).await;
            };
            cancelled.run_until_cancelled(commit).await;
        };
        self.tasks.spawn_on(task, &self.runtime)
    }

    async fn seal_session(&self, mut ended: Ended) {
        let began = Instant::now();
        if (&mut ended.written_down.admitted).await.is_err() {
            // Its begin failed elsewhere and cleans up behind itself.
            return;
        }
        let (id, state, reason) = (ended.id, ended.state, ended.reason);
        let directory = ended.written_down.directory.clone();
        // A writer that is gone has written an unknown part of it.
        let written = (&mut ended.written)
            .await
            .unwrap_or(WriteOutcome { bytes: 0, failure: Some(SpoolFailure::Broken) });
        let recording = self.seal_file(ended, written).await;
        self.tell_ledger(&recording).await;
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
            seal_ms = began.elapsed().as_millis() as u64,
            error = recording.error,
            "session sealed"
        );
        mark_committed(directory, recording).await;
    }

    /// Seals the file, again and again until the disk lets it.
    async fn seal_file(&self, ended: Ended, written: WriteOutcome) -> Recording {
        let ended = Arc::new(ended);
        let mut backoff = Backoff::new();
        loop {
            let (job, base_path) = (Arc::clone(&ended), self.base_path.clone());
            match spawn_blocking(move || job.seal(written, &base_path)).await {
                Ok(Ok(recording)) => return recording,
                Ok(Err(error)) => error!(session_id = %ended.id, %error, "the recording can't be sealed yet"),
                Err(error) => error!(session_id = %ended.id, %error, "sealing the recording failed"),
            }
            backoff.wait().await;
        }
    }

    async fn tell_ledger(&self, recording: &Recording) {
        let mut backoff = Backoff::new();
        while let Err(error) = self.ledger.sealed(recording).await {
            metrics::ledger_retry();
            warn!(recording_id = %recording.id, %error, "the ledger did not take the recording yet");
            backoff.wait().await;
        }
    }
}

async fn mark_committed(directory: RecordingDirectory, recording: Recording) {
    let id = recording.id;
    match spawn_blocking(move || spool::mark_committed(&directory, recording)).await {
        Ok(Ok(())) => {}
        // The next start tells the ledger once more, which changes nothing.
        Ok(Err(error)) => warn!(recording_id = %id, %error, "the commit could not be noted in the spool"),
        Err(error) => warn!(recording_id = %id, %error, "the commit could not be noted in the spool"),
    }
}

impl Ended {
    fn seal(&self, written: WriteOutcome, base_path: &str) -> Result<Recording, RecoverError> {
        let end = spool::End { reason: self.reason, at: self.at };
        let WrittenDown { begun, directory, .. } = &self.written_down;
        match &self.summary {
            Some(summary) if spool::is_whole(summary, written) => {
                Ok(spool::finish_written(directory, &self.queue, begun, summary, end, base_path)?)
            }
            _ => spool::repair_and_finish(directory, begun, end, base_path),
        }
    }
}
