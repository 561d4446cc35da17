//! Removes what was deleted, or cancelled.

use blob::BlobError;
use chrono::{DateTime, Utc};
use model::{Container, JobKind, JobState, Recording, RecordingState, RenditionId, RenditionState};
use spool::RecordingDirectory;
use store::{JobOutcome, LeasedJob};

use crate::{JobError, clean_up::remove, dispatch::Context};

const DONE: JobOutcome = JobOutcome::Done { recording_state: None, next: Vec::new() };

/// The objects; and on the node that received the recording its directory in the spool. What is not marked
/// DELETED (a rendition may be CANCELLED too) is left alone, whatever the job says.
pub(crate) async fn run(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
) -> Result<JobOutcome, JobError> {
    if let Some(id) = leased.job.rendition {
        let rendition = context.store.rendition(&leased.job.tenant, id).await?;
        if !matches!(rendition.state, RenditionState::Deleted | RenditionState::Cancelled) {
            return Ok(DONE);
        }
        abort_uploads(context, &rendition.object_key).await?;
        context.blobs.delete(&rendition.object_key).await?;
        context.store.forget_segments(recording.id, &rendition.parameters).await?;
        return done_or_again(context, leased, Some(id)).await;
    }
    if recording.state != RecordingState::Deleted {
        return Ok(DONE);
    }
    objects(context, recording).await?;
    if recording.node == context.config.node {
        let directory = RecordingDirectory::new(&context.config.spool, recording.id);
        let removal = tokio::task::spawn_blocking(move || remove(&directory));
        removal.await.map_err(|_| JobError::Panicked)??;
    }
    // The job for the disk leaves the second look to the one that any node can run.
    if leased.job.node.is_some() { Ok(DONE) } else { done_or_again(context, leased, None).await }
}

/// The object of a recording, those of its renditions, what runs that were killed had begun to upload, and the rows of segments.
pub(crate) async fn objects(context: &Context, recording: &Recording) -> Result<(), JobError> {
    let Some(key) = &recording.object_key else { return Ok(()) };
    let stem = key.rsplit_once('.').map_or(key.as_str(), |(stem, _)| stem);
    abort_uploads(context, stem).await?;
    // What was rescued may have another format than what was sealed later.
    for container in [Container::Webm, Container::Matroska] {
        let key = format!("{stem}.{}", container.extension());
        abort_uploads(context, &key).await?;
        context.blobs.delete(&key).await?;
    }
    for rendition in context.store.renditions_of(&recording.tenant, recording.id).await? {
        abort_uploads(context, &rendition.object_key).await?;
        context.blobs.delete(&rendition.object_key).await?;
        context.store.forget_segments(recording.id, &rendition.parameters).await?;
    }
    Ok(())
}

/// Aborts uploads in parts to keys that begin so. (MinIO lists those of a whole key alone.) Without the right to list them,
/// the bucket's lifecycle rule has to do.
pub(crate) async fn abort_uploads(context: &Context, prefix: &str) -> Result<(), JobError> {
    let Some(parts) = context.blobs.parts() else { return Ok(()) };
    let open = match parts.open(prefix).await {
        Err(BlobError::Refused(reason)) => {
            tracing::debug!(reason, "open uploads can't be listed");
            return Ok(());
        }
        open => open?,
    };
    for upload in open {
        tracing::info!(key = upload.key, "aborting an upload that nobody completes");
        parts.abort(&upload).await?;
    }
    Ok(())
}

/// A run that the deletion has ended may have sent something that the store takes only now, or not have heard yet: then a
/// second look removes that.
async fn done_or_again(
    context: &Context,
    leased: &LeasedJob,
    rendition: Option<RenditionId>,
) -> Result<JobOutcome, JobError> {
    let at = second_look(context, leased);
    if at <= Utc::now() {
        return Ok(DONE);
    }
    let jobs = context.store.jobs_of(leased.job.recording).await?;
    let was_cut_short = jobs.iter().any(|job| {
        let stores = matches!(job.kind, JobKind::Upload | JobKind::Render);
        let is_meant = rendition.is_none() || job.rendition == rendition;
        let had_begun = job.attempts > 0 && matches!(job.state, JobState::InProgress | JobState::Cancelled);
        stores && is_meant && had_begun
    });
    Ok(if was_cut_short { JobOutcome::Later { at } } else { DONE })
}

/// A run that nobody can tell notices at the end of its lease; as long again is for what it had on its way.
fn second_look(context: &Context, leased: &LeasedJob) -> DateTime<Utc> {
    leased.job.created_at + 2 * context.config.lease
}
