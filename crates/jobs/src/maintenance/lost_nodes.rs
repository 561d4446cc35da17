//! Lost nodes: completes their uploads, parks their recordings that were not uploaded, and undoes that for this node when it
//! was taken for lost itself.

use std::{collections::HashSet, sync::Arc, time::Duration};

use blob::{BlobError, PartUploads};
use model::{JobKind, NodeId, Recording, RecordingId, RecordingState};
use store::{LostRecording, NewRendition, Upload, UploadStatus};
use tokio::sync::Mutex;

use super::orphaned_uploads;
use crate::{JobError, OpenFiles, context::Context, journal, metrics};

/// The default renditions of a recording: those that the configuration requests of every recording.
pub type DefaultRenditions = Arc<dyn Fn(&Recording) -> Vec<NewRendition> + Send + Sync>;

/// Looks for lost nodes, on every node. The database lets one of several nodes rescue or park a recording.
pub(super) struct LostNodes {
    /// A node whose heartbeat is older than this is silent.
    after: Duration,
    /// Requested of each rescued recording.
    default_renditions: DefaultRenditions,
    /// Nodes that were silent at the last run. A node is lost if it is silent at two runs in a row: after an outage of the
    /// database, all nodes are silent at the first.
    silent: Mutex<HashSet<NodeId>>,
}

impl LostNodes {
    pub fn new(after: Duration, default_renditions: DefaultRenditions) -> Self {
        Self { after, default_renditions, silent: Mutex::default() }
    }

    /// Rescues what lost nodes have uploaded, and parks what they have not. A failure to rescue one upload does not stop the
    /// others; the first error is returned at the end.
    pub async fn run(&self, context: &Context) -> Result<(), JobError> {
        let (store, own) = (&context.store, &context.config.node);
        let parts = context.blobs.parts();
        let mut uploads = if parts.is_some() { store.lost_uploads(self.after).await? } else { Vec::new() };
        uploads.retain(|status| status.upload.node != *own);
        let mut recordings = store.lost_recordings(self.after).await?;
        recordings.retain(|recording| recording.node != *own);
        let nodes_of_uploads = uploads.iter().map(|status| &status.upload.node);
        let silent: HashSet<NodeId> =
            nodes_of_uploads.chain(recordings.iter().map(|recording| &recording.node)).cloned().collect();
        let before = std::mem::replace(&mut *self.silent.lock().await, silent);

        let mut result = Ok(());
        for status in uploads.iter().filter(|status| before.contains(&status.upload.node)) {
            let Some(parts) = parts else {
                debug_assert!(false, "without parts no uploads were listed");
                break;
            };
            if let Err(error) = self.rescue(context, parts, status).await {
                let (recording, node) = (status.upload.recording, &status.upload.node);
                tracing::debug!(recording_id = %recording, %node, %error, "a lost node's upload was not completed");
                result = result.and(Err(error));
            }
        }
        for recording in recordings.into_iter().filter(|recording| before.contains(&recording.node)) {
            self.park(context, recording).await?;
        }
        result
    }

    /// Completes the upload of a lost node with the parts that were sent, without a gap from the first.
    async fn rescue(
        &self,
        context: &Context,
        parts: &dyn PartUploads,
        status: &UploadStatus,
    ) -> Result<(), JobError> {
        match status.state {
            RecordingState::Deleted => return orphaned_uploads::abort(context, parts, status).await,
            // The upload was complete. Only the clean-up of the node's disk is missing.
            RecordingState::Available => return Ok(()),
            _ => {}
        }
        let Some((upload, journaled)) = context.store.upload_of(status.upload.recording).await? else {
            return Ok(());
        };
        let (sent, recording) = (journal::contiguous(&journaled), upload.recording);
        if sent.is_empty() {
            return orphaned_uploads::abort(context, parts, status).await;
        }
        match parts.complete(&journal::open(&upload), &sent).await {
            // No upload: an earlier run completed it, and could not commit that.
            Ok(()) | Err(BlobError::NoUpload(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let stored = parts.confirm(&upload.key, &sent).await?;
        let provisional = journaled.first().is_some_and(|part| part.provisional);
        let whole = status.finalized && stored.bytes == status.bytes && !provisional;
        let missing = (!whole).then(|| missing(&upload.node, stored.bytes, status));
        let renditions = self.renditions_of(context, status, &upload).await?;
        if context.store.rescue(&upload, stored.bytes, missing.as_deref(), &renditions).await? {
            metrics::rescued();
            metrics::enqueued(JobKind::Render, renditions.len() as u64);
            let node = &upload.node;
            tracing::warn!(recording_id = %recording, %node, bytes = stored.bytes, "completed a lost node's upload");
        }
        Ok(())
    }

    /// The default renditions of a recording as it will be once it is rescued.
    async fn renditions_of(
        &self,
        context: &Context,
        status: &UploadStatus,
        upload: &Upload,
    ) -> Result<Vec<NewRendition>, JobError> {
        let mut recording = context.store.recording(&status.tenant, upload.recording).await?;
        recording.container.get_or_insert(upload.container);
        recording.object_key.get_or_insert_with(|| upload.key.clone());
        Ok((self.default_renditions)(&recording))
    }

    /// Parks a recording of which nothing was uploaded, so that no client waits for it.
    async fn park(&self, context: &Context, recording: LostRecording) -> Result<(), JobError> {
        let LostRecording { id, node, finalized } = recording;
        if context.store.park_lost(id, self.after, &reason(&node, finalized)).await? {
            metrics::parked_lost();
            tracing::warn!(recording_id = %id, %node, finalized, "recording of a lost node parked");
        }
        Ok(())
    }
}

/// Another node may have taken this one for lost, and parked its recordings: they go on.
pub(super) async fn unpark_own(context: &Context, open_files: &dyn OpenFiles) -> Result<(), JobError> {
    let live: Vec<RecordingId> = open_files.files().into_iter().map(|file| file.recording).collect();
    for recording in context.store.unpark(&context.config.node, &live).await? {
        tracing::info!(recording_id = %recording, "recording unparked: another node had taken this one for lost");
    }
    Ok(())
}

/// The error of a rescued recording.
fn missing(node: &NodeId, bytes: u64, status: &UploadStatus) -> String {
    let of = if status.finalized { format!(" of {}", status.bytes) } else { String::new() };
    format!(
        "node {node} was lost: the object holds the first {bytes}{of} bytes, which were uploaded before; \
         the rest, the duration and the index are missing"
    )
}

/// The error of a parked recording.
fn reason(node: &NodeId, finalized: bool) -> String {
    let when = if finalized { "" } else { " while it recorded" };
    format!(
        "its node {node} was lost{when}; nothing of it had been uploaded, and it goes on if that node comes back"
    )
}
