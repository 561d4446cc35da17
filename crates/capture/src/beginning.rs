//! The beginning that every kind of session shares: admission, directory, row. Each failure leaves nothing behind.

use std::{sync::Arc, time::Instant};

use chrono::Utc;
use model::{
    AudioResult, Channel, EndReason, NodeId, Recording, RecordingState, SessionId, Source, TenantId,
};
use spool::{MediaFile, RecordingDirectory, SpoolFile};
use tokio::{sync::oneshot, task::spawn_blocking};
use tracing::warn;

use crate::{
    error::CaptureError,
    node::Node,
    session::{finalizing::BegunSession, state::SessionLimits},
};

/// What the caller says of a new session.
pub(crate) struct Description {
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) correlation_id: String,
    pub(crate) channel: Channel,
    pub(crate) source: Source,
    pub(crate) results: Vec<AudioResult>,
}

impl Description {
    /// The recording as it begins.
    pub(crate) fn recording(self, node: &NodeId, id: SessionId) -> Recording {
        let name = if self.name.is_empty() { id.to_string() } else { self.name };
        Recording {
            id: id.into(),
            tenant: self.tenant,
            name,
            correlation_id: self.correlation_id,
            channel: self.channel,
            source: self.source,
            node: node.clone(),
            state: RecordingState::Recording,
            started_at: Utc::now(),
            ended_at: None,
            end_reason: None,
            container: None,
            object_key: None,
            duration: std::time::Duration::ZERO,
            bytes: 0,
            sha256: None,
            error: None,
            tracks: Vec::new(),
            results: self.results,
        }
    }
}

/// A session that was admitted and has a directory, but is not committed yet.
pub(crate) struct Beginning {
    pub(crate) recording: Recording,
    directory: RecordingDirectory,
    commit: oneshot::Sender<()>,
}

impl Beginning {
    /// Creates the session's directory if the disk has room. Returns the open file, and the session as its host takes it.
    pub(crate) async fn create(
        node: &Node,
        recording: Recording,
    ) -> Result<(Self, BegunSession, SpoolFile), CaptureError> {
        let directory = node.spool.recording(recording.id);
        let file = create(node, &directory, &recording).await?;
        let writer = node.writers.of(recording.id.into());
        let spool = &node.config.spool;
        let file = SpoolFile::new(file, writer, spool.max_waiting_bytes.as_usize(), spool.stall_timeout.0);
        node.open_files.add(&recording, &directory, file.queue());
        let (commit, committed) = oneshot::channel();
        let begun = BegunSession { recording: recording.clone(), directory: directory.clone(), committed };
        Ok((Self { recording, directory, commit }, begun, file))
    }

    /// Makes the beginning durable on disk and in the ledger, side by side. On an error the host must drop the session,
    /// then [`discard`](Self::discard) removes the directory.
    pub(crate) async fn make_durable(&self, node: &Node) -> Result<(), CaptureError> {
        let directory = self.directory.clone();
        let synced = blocking(move || {
            spool::sync_created(&directory)
                .map_err(|error| CaptureError::Internal(format!("the spool can't be synced: {error}")))
        });
        let (synced, began) = tokio::join!(synced, node.ledger.began(&self.recording));
        began?;
        if let Err(error) = synced {
            self.end_row(node, &error).await;
            return Err(error);
        }
        Ok(())
    }

    /// The row is committed although the session did not begin: it must not look live for ever.
    async fn end_row(&self, node: &Node, error: &CaptureError) {
        let failed = Recording {
            state: RecordingState::Processing,
            ended_at: Some(Utc::now()),
            end_reason: Some(EndReason::DiskStalled),
            error: Some(error.to_string()),
            ..self.recording.clone()
        };
        if let Err(error) = node.ledger.finalized(&failed).await {
            warn!(recording_id = %failed.id, %error, "the row of a session that did not begin stays RECORDING");
        }
    }

    /// The session has begun: from here on its end is finalized.
    pub(crate) fn commit(self) -> Recording {
        // The host may have ended the session already. Then the finalizer waits for this.
        let _ = self.commit.send(());
        self.recording
    }

    /// Removes the directory of a session that did not begin.
    pub(crate) async fn discard(self) {
        let directory = self.directory;
        // A directory that stays is discarded at the next start.
        let _ = spawn_blocking(move || discard(&directory)).await;
    }
}

/// The limits of a session that begins now.
pub(crate) fn limits(node: &Node) -> SessionLimits {
    let limits = &node.config.limits;
    SessionLimits {
        ends_at: limits.max_session_time().and_then(|time| Instant::now().checked_add(time)),
        bytes: limits.max_recording_bytes(),
    }
}

async fn create(
    node: &Node,
    directory: &RecordingDirectory,
    recording: &Recording,
) -> Result<Box<dyn MediaFile>, CaptureError> {
    let (spool, required) = (Arc::clone(&node.spool), node.config.limits.min_free_bytes.0);
    let (files, directory, recording) = (Arc::clone(&node.files), directory.clone(), recording.clone());
    blocking(move || {
        let free = spool::free_bytes(spool.path())
            .map_err(|error| CaptureError::Internal(format!("the spool's disk does not answer: {error}")))?;
        if free < required {
            return Err(CaptureError::DiskNearlyFull { free, required });
        }
        spool::create(&directory, &*files, recording).map_err(|error| {
            discard(&directory);
            CaptureError::Internal(format!("the spool can't be written: {error}"))
        })
    })
    .await
}

fn discard(directory: &RecordingDirectory) {
    if let Err(error) = directory.discard() {
        warn!(directory = %directory.path().display(), %error, "the directory of a session that did not begin stays");
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CaptureError> + Send + 'static,
) -> Result<T, CaptureError> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(CaptureError::Internal(format!("the spool failed: {error}"))))
}
