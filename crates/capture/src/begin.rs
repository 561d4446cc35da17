//! How a session begins: a place, a directory, an answer, a row. In this order, so that whatever fails leaves nothing
//! behind, and with the two waits for a disk, the manifest's and the ledger's, side by side.

use std::{sync::Arc, time::Instant};

use chrono::Utc;
use model::{AudioResult, Channel, NodeId, Recording, RecordingState, SessionId, Source, TenantId};
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};
use tracing::{info, warn};

use spool::{MediaFile, RecordingDirectory, SpoolFile};

use crate::{
    Begun, CaptureError, NewSession,
    capture::{ANSWER_DEADLINE, Node},
    session::{finalizing::WrittenDown, state::Bounds},
    shard::{Begin, Command, Shard},
};

/// Begins a session; on an error none exists.
pub(crate) async fn begin(node: Arc<Node>, session: NewSession) -> Result<Begun, CaptureError> {
    if node.draining.load(std::sync::atomic::Ordering::Acquire) {
        return Err(CaptureError::Draining);
    }
    let (bytes, limit) = (session.sdp_offer.len(), node.config.limits.offer_bytes);
    if bytes > limit {
        return Err(peer::OfferError::TooLarge { bytes, limit }.into());
    }
    let began_at = Instant::now();
    let id = SessionId::new();
    let offer = session.sdp_offer;
    let recording = Description {
        tenant: session.tenant,
        name: session.name,
        correlation_id: session.correlation_id,
        channel: session.channel,
        source: Source::Webrtc,
        results: Vec::new(),
    }
    .recording(&node.config.node, id);
    let (place, shard) = node.registry.reserve(&recording, node.shards.len())?;
    let shard = node.shard(shard)?;
    let directory = node.spool.recording(recording.id);
    let file = create(&node, &directory, &recording).await?;
    let (admit, admitted) = oneshot::channel();
    let written_down = WrittenDown { begun: recording.clone(), directory: directory.clone(), admitted };
    let sdp_answer = match answer(&node, shard, written_down, file, offer).await {
        Ok(answer) => answer,
        Err(error) => {
            undo(shard, id, directory).await;
            return Err(error);
        }
    };
    if let Err(error) = write_down(&node, &directory, &recording).await {
        undo(shard, id, directory).await;
        return Err(error);
    }
    place.keep();
    // The shard may have ended it already; then the sealer hears that it was a session.
    let _ = admit.send(());
    let took_ms = began_at.elapsed().as_millis() as u64;
    info!(session_id = %id, tenant = %recording.tenant, took_ms, "session began");
    Ok(Begun { id, sdp_answer })
}

/// What its caller said of a session.
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

/// What bounds a session that begins now.
pub(crate) fn bounds(node: &Node) -> Bounds {
    let limits = &node.config.limits;
    Bounds {
        ends_at: limits.session_time.and_then(|time| Instant::now().checked_add(time)),
        bytes: limits.recording_bytes,
    }
}

/// Makes the session's directory if the disk has room.
pub(crate) async fn create(
    node: &Node,
    directory: &RecordingDirectory,
    recording: &Recording,
) -> Result<Box<dyn MediaFile>, CaptureError> {
    let (path, wanted) = (node.spool.path().to_owned(), node.config.limits.min_free_bytes);
    let (files, directory, recording) = (Arc::clone(&node.files), directory.clone(), recording.clone());
    blocking(move || {
        let free = spool::free_bytes(&path)
            .map_err(|error| CaptureError::Internal(format!("the spool's disk does not answer: {error}")))?;
        if free < wanted {
            return Err(CaptureError::DiskNearlyFull { free, wanted });
        }
        spool::create(&directory, &*files, recording).map_err(|error| {
            discard(&directory);
            CaptureError::Internal(format!("the spool can't be written: {error}"))
        })
    })
    .await
}

/// Hands the session to its shard and waits for the answer to the offer.
async fn answer(
    node: &Node,
    shard: &Shard,
    written_down: WrittenDown,
    file: Box<dyn MediaFile>,
    offer: String,
) -> Result<String, CaptureError> {
    let spool = &node.config.spool;
    let writer = node.writers.of(written_down.begun.id.into());
    let file = SpoolFile::new(file, writer, spool.max_waiting_bytes, spool.stall_timeout);
    node.growing.add(&written_down.begun, &written_down.directory, file.queue());
    let bounds = bounds(node);
    let (answer, answered) = oneshot::channel();
    let begin = Begin { offer, written_down, file, bounds, answer };
    shard.send(Command::Begin(Box::new(begin))).await?;
    match timeout(ANSWER_DEADLINE, answered).await {
        Ok(Ok(answer)) => Ok(answer?),
        Ok(Err(_)) | Err(_) => Err(CaptureError::Internal("the shard did not answer".to_owned())),
    }
}

/// Makes sure that disk and ledger know of the session.
pub(crate) async fn write_down(
    node: &Node,
    directory: &RecordingDirectory,
    recording: &Recording,
) -> Result<(), CaptureError> {
    let created = directory.clone();
    let synced = blocking(move || {
        spool::sync_created(&created)
            .map_err(|error| CaptureError::Internal(format!("the spool can't be synced: {error}")))
    });
    let (synced, began) = tokio::join!(synced, node.ledger.began(recording));
    began?;
    if let Err(error) = synced {
        // The row is there: it must not look live for ever.
        let lost = Recording {
            state: RecordingState::Processing,
            ended_at: Some(Utc::now()),
            end_reason: Some(model::EndReason::DiskStalled),
            error: Some(error.to_string()),
            ..recording.clone()
        };
        if let Err(error) = node.ledger.sealed(&lost).await {
            warn!(recording_id = %recording.id, %error, "a session that failed to begin is left in the ledger");
        }
        return Err(error);
    }
    Ok(())
}

/// Takes back what a begin that failed has done.
async fn undo(shard: &Shard, id: SessionId, directory: RecordingDirectory) {
    let (done, is_done) = oneshot::channel();
    if shard.send(Command::Abandon { id, done }).await.is_ok() {
        // A shard that doesn't answer drops the session when it gets to it.
        let _ = timeout(ANSWER_DEADLINE, is_done).await;
    }
    take_back(directory).await;
}

/// Removes the directory of a session that did not begin.
pub(crate) async fn take_back(directory: RecordingDirectory) {
    // What is left is found, and found to be nothing, at the next start.
    let _ = spawn_blocking(move || discard(&directory)).await;
}

fn discard(directory: &RecordingDirectory) {
    if let Err(error) = directory.discard() {
        warn!(directory = %directory.path().display(), %error, "a session that did not begin left its directory");
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CaptureError> + Send + 'static,
) -> Result<T, CaptureError> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(CaptureError::Internal(format!("the spool failed: {error}"))))
}
