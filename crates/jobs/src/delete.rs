//! Removes what was deleted.

use model::{Recording, RecordingState, RenditionState};
use store::{JobOutcome, LeasedJob};

use crate::{JobError, clean_up::remove, perform::Context, spool::directory};

const DONE: JobOutcome = JobOutcome::Done { recording_state: None, next: Vec::new() };

/// The objects; and on the node that received the recording its directory in the spool. What is not marked DELETED is
/// left alone, whatever the job says.
pub(crate) async fn run(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
) -> Result<JobOutcome, JobError> {
    if let Some(id) = leased.job.rendition {
        let rendition = context.store.rendition(&leased.job.tenant, id).await?;
        if rendition.state == RenditionState::Deleted {
            context.blobs.delete(&rendition.object_key).await?;
        }
        return Ok(DONE);
    }
    if recording.state != RecordingState::Deleted {
        return Ok(DONE);
    }
    objects(context, recording).await?;
    if recording.node == context.config.node {
        let (spool, id) = (context.config.spool.clone(), recording.id);
        let removal = tokio::task::spawn_blocking(move || {
            let directory = directory(&spool, id);
            remove(&spool, &directory).map_err(|source| JobError::Spool { path: directory, source })
        });
        removal.await.map_err(|_| JobError::Panicked)??;
    }
    Ok(DONE)
}

/// The object of a recording, those of its renditions, and what is left of segments.
pub(crate) async fn objects(context: &Context, recording: &Recording) -> Result<(), JobError> {
    if let Some(key) = &recording.object_key {
        context.blobs.delete(key).await?;
    }
    for rendition in context.store.renditions_of(&recording.tenant, recording.id).await? {
        context.blobs.delete(&rendition.object_key).await?;
        context.store.forget_segments(recording.id, &rendition.parameters).await?;
    }
    Ok(())
}
