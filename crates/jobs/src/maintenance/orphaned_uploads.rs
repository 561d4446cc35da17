//! Uploads that nobody will end by themselves: those that no recording needs any more are aborted, those of a node that
//! died for good are completed with what is there.

use std::{collections::HashSet, sync::Arc, time::Duration};

use blob::{BlobError, OpenUpload, PartUploads};
use model::{JobKind, NodeId, RecordingId, RecordingState};
use store::{NewRendition, Upload, UploadStatus};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{DefaultRenditions, JobError, dispatch::Context, journal, metrics};

/// How often the object store is asked for uploads that the journal does not know.
const LIST: Duration = Duration::from_secs(3600);

/// Looks until `shutdown`, at the start first.
pub(crate) async fn run(context: Arc<Context>, wishes: DefaultRenditions, shutdown: CancellationToken) {
    let Some(parts) = context.blobs.parts() else { return };
    let mut keeper = UploadCleaner { context: &context, parts, wishes, silent: HashSet::new() };
    let mut list_at = Instant::now();
    while !shutdown.is_cancelled() {
        if list_at <= Instant::now() {
            let listed = shutdown.run_until_cancelled(keeper.abort_unknown()).await;
            note("uploads could not be listed", listed);
            list_at = Instant::now() + LIST;
        }
        note("own uploads", shutdown.run_until_cancelled(keeper.abort_needless()).await);
        note("lost uploads", shutdown.run_until_cancelled(keeper.rescue_lost()).await);
        shutdown.run_until_cancelled(tokio::time::sleep(context.config.keep)).await;
    }
}

fn note(what: &'static str, result: Option<Result<(), JobError>>) {
    if let Some(Err(error)) = result {
        tracing::debug!(what, %error, "uploads could not be looked after; the next look will");
    }
}

struct UploadCleaner<'a> {
    context: &'a Context,
    parts: &'a dyn PartUploads,
    /// What is to be made of what is rescued.
    wishes: DefaultRenditions,
    /// Nodes that were silent for too long at the last look. Only those that still are at the next one are taken for
    /// lost: when the database was away, all nodes were silent.
    silent: HashSet<NodeId>,
}

impl UploadCleaner<'_> {
    /// Aborts uploads to recordings of this node that the journal does not hold: begun just before a crash.
    async fn abort_unknown(&self) -> Result<(), JobError> {
        let base = self.context.config.base_path.trim_matches('/');
        let prefix = if base.is_empty() { String::new() } else { format!("{base}/") };
        let open = match self.parts.open(&prefix).await {
            Err(BlobError::Refused(reason)) => {
                tracing::debug!(
                    reason,
                    "open uploads can't be listed; the bucket's lifecycle rule has to do"
                );
                return Ok(());
            }
            open => open?,
        };
        for upload in open {
            let Some(recording) = recording_of(&upload.key, &prefix) else { continue };
            self.abort_if_unknown(recording, &upload).await?;
        }
        Ok(())
    }

    async fn abort_if_unknown(&self, recording: RecordingId, upload: &OpenUpload) -> Result<(), JobError> {
        let store = &self.context.store;
        if store.owner(recording).await?.as_ref() != Some(&self.context.config.node) {
            return Ok(());
        }
        // Whoever works on it knows better.
        let Ok(_turn) = self.context.streams.of(recording).try_lock() else { return Ok(()) };
        let known = store.upload_of(recording).await?;
        if known.is_some_and(|(known, _)| known.id == upload.id) {
            return Ok(());
        }
        tracing::info!(%recording, key = upload.key, "aborting an upload that nobody goes on with");
        metrics::upload_aborted();
        Ok(self.parts.abort(upload).await?)
    }

    /// Aborts uploads of recordings that were deleted, or turned out to have no media.
    async fn abort_needless(&self) -> Result<(), JobError> {
        for status in self.context.store.uploads_on(&self.context.config.node).await? {
            let no_media = status.sealed && status.object_key.is_none();
            if no_media || status.state == RecordingState::Deleted {
                self.drop_upload(&status).await?;
            }
        }
        Ok(())
    }

    async fn drop_upload(&self, status: &UploadStatus) -> Result<(), JobError> {
        let recording = status.upload.recording;
        let Ok(_turn) = self.context.streams.of(recording).try_lock() else { return Ok(()) };
        tracing::info!(%recording, key = status.upload.key, "aborting an upload that is not needed");
        metrics::upload_aborted();
        self.parts.abort(&journal::open(&status.upload)).await?;
        Ok(self.context.store.forget_upload(recording, &status.upload.id).await?)
    }

    async fn rescue_lost(&mut self) -> Result<(), JobError> {
        let Some(after) = self.context.config.node_lost_after else { return Ok(()) };
        let own = &self.context.config.node;
        let lost = self.context.store.lost_uploads(after).await?;
        let lost: Vec<_> = lost.into_iter().filter(|status| status.upload.node != *own).collect();
        let silent = lost.iter().map(|status| status.upload.node.clone()).collect();
        let before = std::mem::replace(&mut self.silent, silent);
        for status in lost.iter().filter(|status| before.contains(&status.upload.node)) {
            let (recording, node) = (status.upload.recording, &status.upload.node);
            if let Err(error) = self.rescue(status).await {
                tracing::warn!(%recording, %node, %error, "a lost node's upload could not be completed yet");
            }
        }
        Ok(())
    }

    /// Completes the upload of a node that is lost with the parts that are there.
    async fn rescue(&self, status: &UploadStatus) -> Result<(), JobError> {
        match status.state {
            RecordingState::Deleted => return self.drop_upload(status).await,
            // Its node had come to the end; what is left is to tidy up on its disk.
            RecordingState::Available => return Ok(()),
            _ => {}
        }
        let Some((upload, journaled)) = self.context.store.upload_of(status.upload.recording).await? else {
            return Ok(());
        };
        let (parts, recording) = (journal::contiguous(&journaled), upload.recording);
        if parts.is_empty() {
            return self.drop_upload(status).await;
        }
        match self.parts.complete(&journal::open(&upload), &parts).await {
            Ok(()) | Err(BlobError::NoUpload(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let stored = self.parts.confirm(&upload.key, &parts).await?;
        let provisional = journaled.first().is_some_and(|part| part.provisional);
        let whole = status.sealed && stored.bytes == status.bytes && !provisional;
        let missing = (!whole).then(|| missing(&upload.node, stored.bytes, status));
        let wanted = self.wanted(status, &upload).await?;
        if self.context.store.rescue(&upload, stored.bytes, missing.as_deref(), &wanted).await? {
            metrics::rescued();
            metrics::enqueued(JobKind::Render, wanted.len() as u64);
            tracing::warn!(%recording, node = %upload.node, bytes = stored.bytes, "completed a lost node's upload");
        }
        Ok(())
    }

    /// What is to be made of a recording as it will be.
    async fn wanted(&self, status: &UploadStatus, upload: &Upload) -> Result<Vec<NewRendition>, JobError> {
        let mut recording = self.context.store.recording(&status.tenant, upload.recording).await?;
        recording.container.get_or_insert(upload.container);
        recording.object_key.get_or_insert_with(|| upload.key.clone());
        Ok((self.wishes)(&recording))
    }
}

fn missing(node: &NodeId, bytes: u64, status: &UploadStatus) -> String {
    let of = if status.sealed { format!(" of {}", status.bytes) } else { String::new() };
    format!(
        "node {node} was lost: the object holds the first {bytes}{of} bytes, which were uploaded before; \
         the rest, the duration and the index are missing"
    )
}

/// The recording whose own file has this key; none for other objects, such as those derived from it.
fn recording_of(key: &str, prefix: &str) -> Option<RecordingId> {
    let mut below = key.strip_prefix(prefix)?.split('/').skip(3);
    let (name, rest) = (below.next()?, below.next());
    let (id, _) = name.rsplit_once('.')?;
    if rest.is_some() { None } else { id.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recordings_own_file_is_its_upload() {
        let id = RecordingId::new();
        let of = |key: String| recording_of(&key, "records/");
        assert_eq!(of(format!("records/2026/03/04/{id}.webm")), Some(id));
        assert_eq!(of(format!("records/2026/03/04/{id}/audio.mp3")), None);
        assert_eq!(of(format!("records/2026/03/04/{id}/{id}.mp4")), None);
        assert_eq!(of(format!("other/2026/03/04/{id}.webm")), None);
        assert_eq!(of("records/2026/03/04/song.webm".to_owned()), None);
        assert_eq!(recording_of(&format!("2026/03/04/{id}.mkv"), ""), Some(id));
    }
}
