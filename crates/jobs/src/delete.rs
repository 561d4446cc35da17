//! The delete job: removes the objects and local files of deleted recordings and of deleted or cancelled renditions.

use blob::BlobError;
use chrono::{DateTime, Utc};
use model::{Container, JobKind, JobState, Recording, RecordingState, RenditionId, RenditionState};
use spool::RecordingDirectory;
use store::{JobOutcome, LeasedJob};

use crate::{JobError, clean_up::remove, context::Context};

const DONE: JobOutcome = JobOutcome::Done { recording_state: None, next: Vec::new() };

/// Removes the objects, and on the node that received the recording its directory in the spool. Does nothing if the recording
/// is not DELETED, or the rendition neither DELETED nor CANCELLED.
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
        context.store.delete_segments(recording.id, &rendition.parameters).await?;
        return done_or_repeat(context, leased, Some(id)).await;
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
    // A recording has two jobs: this node's removes the directory, the other may have to be repeated.
    if leased.job.node.is_some() { Ok(DONE) } else { done_or_repeat(context, leased, None).await }
}

/// Removes the objects of a recording and of its renditions, aborts their open uploads, and removes the rows of segments.
pub(crate) async fn objects(context: &Context, recording: &Recording) -> Result<(), JobError> {
    let Some(key) = &recording.object_key else { return Ok(()) };
    let stem = key.rsplit_once('.').map_or(key.as_str(), |(stem, _)| stem);
    abort_uploads(context, stem).await?;
    // A rescued object may have another format than the finished file.
    for container in [Container::Webm, Container::Matroska] {
        let key = format!("{stem}.{}", container.extension());
        abort_uploads(context, &key).await?;
        context.blobs.delete(&key).await?;
    }
    for rendition in context.store.renditions_of(&recording.tenant, recording.id).await? {
        abort_uploads(context, &rendition.object_key).await?;
        context.blobs.delete(&rendition.object_key).await?;
        context.store.delete_segments(recording.id, &rendition.parameters).await?;
    }
    Ok(())
}

/// Aborts the open uploads whose keys begin with `prefix`. (MinIO lists them only for a whole key.) Credentials that may not
/// list uploads leave this to the bucket's lifecycle rule.
pub(crate) async fn abort_uploads(context: &Context, prefix: &str) -> Result<(), JobError> {
    let Some(parts) = context.blobs.parts() else { return Ok(()) };
    let open = match parts.open(prefix).await {
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
        tracing::info!(key = upload.key, "aborting an upload that will not be completed");
        parts.abort(&upload).await?;
    }
    Ok(())
}

/// A cancelled run may not have noticed that yet, or the object store may not have processed its last request. If there is
/// such a run, the removal is repeated later.
async fn done_or_repeat(
    context: &Context,
    leased: &LeasedJob,
    rendition: Option<RenditionId>,
) -> Result<JobOutcome, JobError> {
    let at = second_removal(context, leased);
    if at <= Utc::now() {
        return Ok(DONE);
    }
    let jobs = context.store.jobs_of(leased.job.recording).await?;
    let was_cut_short = jobs.iter().any(|job| {
        let stores = matches!(job.kind, JobKind::Upload | JobKind::Render);
        let is_same = rendition.is_none() || job.rendition == rendition;
        let was_started = job.attempts > 0 && matches!(job.state, JobState::InProgress | JobState::Cancelled);
        stores && is_same && was_started
    });
    Ok(if was_cut_short { JobOutcome::Later { at } } else { DONE })
}

/// A run notices its cancellation at the latest when its lease has run out. As much time again is for its last requests.
fn second_removal(context: &Context, leased: &LeasedJob) -> DateTime<Utc> {
    leased.job.created_at + 2 * context.config.workers.lease.0
}
