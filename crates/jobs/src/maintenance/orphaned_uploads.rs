//! Aborts multipart uploads that no job will complete.

use blob::{BlobError, OpenUpload, PartUploads};
use model::{RecordingId, RecordingState};
use store::UploadStatus;

use crate::{JobError, context::Context, journal, metrics};

/// Aborts uploads of this node's recordings that the journal does not know: begun just before a crash.
pub(super) async fn abort_unknown(context: &Context) -> Result<(), JobError> {
    let Some(parts) = context.blobs.parts() else {
        debug_assert!(false, "not run for a store without parts");
        return Ok(());
    };
    let base = context.config.base_path.trim_matches('/');
    let prefix = if base.is_empty() { String::new() } else { format!("{base}/") };
    let open = match parts.open(&prefix).await {
        Err(BlobError::Refused(reason)) => {
            tracing::debug!(
                reason,
                "open uploads can't be listed; the bucket's lifecycle rule has to abort them"
            );
            return Ok(());
        }
        open => open?,
    };
    for upload in open {
        let Some(recording) = recording_of(&upload.key, &prefix) else { continue };
        abort_if_unknown(context, parts, recording, &upload).await?;
    }
    Ok(())
}

async fn abort_if_unknown(
    context: &Context,
    parts: &dyn PartUploads,
    recording: RecordingId,
    upload: &OpenUpload,
) -> Result<(), JobError> {
    if context.store.owner(recording).await?.as_ref() != Some(&context.config.node) {
        return Ok(());
    }
    // Locked: it is in use, and may be about to be journaled.
    let Ok(_guard) = context.live_uploads.of(recording).try_lock() else { return Ok(()) };
    let known = context.store.upload_of(recording).await?;
    if known.is_some_and(|(known, _)| known.id == upload.id) {
        return Ok(());
    }
    tracing::info!(recording_id = %recording, key = upload.key, "aborting an upload that is not in the journal");
    parts.abort(upload).await?;
    metrics::upload_aborted();
    Ok(())
}

/// Aborts uploads of this node's recordings that were deleted or turned out to have no media.
pub(super) async fn abort_needless(context: &Context) -> Result<(), JobError> {
    let Some(parts) = context.blobs.parts() else {
        debug_assert!(false, "not run for a store without parts");
        return Ok(());
    };
    for status in context.store.uploads_on(&context.config.node).await? {
        let no_media = status.finalized && status.object_key.is_none();
        if no_media || status.state == RecordingState::Deleted {
            abort(context, parts, &status).await?;
        }
    }
    Ok(())
}

/// Aborts an upload and removes it from the journal, unless it is in use on this node.
pub(super) async fn abort(
    context: &Context,
    parts: &dyn PartUploads,
    status: &UploadStatus,
) -> Result<(), JobError> {
    let recording = status.upload.recording;
    let Ok(_guard) = context.live_uploads.of(recording).try_lock() else { return Ok(()) };
    tracing::info!(recording_id = %recording, key = status.upload.key, "aborting an upload that is not needed");
    parts.abort(&journal::open(&status.upload)).await?;
    metrics::upload_aborted();
    Ok(context.store.delete_upload(recording, &status.upload.id).await?)
}

/// The recording whose own file has this key. None for other objects, such as renditions.
fn recording_of(key: &str, prefix: &str) -> Option<RecordingId> {
    // <prefix><year>/<month>/<day>/<id>.<extension>
    let mut below = key.strip_prefix(prefix)?.split('/').skip(3);
    let (name, rest) = (below.next()?, below.next());
    let (id, _) = name.rsplit_once('.')?;
    if rest.is_some() { None } else { id.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_of_a_recordings_own_file_names_the_recording() {
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
