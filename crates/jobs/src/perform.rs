//! Runs a job of any kind.

use std::{panic::AssertUnwindSafe, sync::Arc};

use blob::BlobStore;
use futures::FutureExt;
use model::{Job, JobKind, RecordingState};
use store::{JobOutcome, Store};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{JobError, JobsConfig, clean_up, stream::Streams, upload};

/// What jobs work with.
pub(crate) struct Context {
    pub config: JobsConfig,
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn BlobStore>,
    /// Uploads of files that still grow.
    pub streams: Streams,
    /// This run of the process.
    pub run: Uuid,
}

/// Runs a job once. The outcome is not written down yet.
pub(crate) async fn perform(
    context: &Context,
    job: &Job,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let run = async {
        let recording = context.store.recording(&job.tenant, job.recording).await?;
        if recording.state == RecordingState::Deleted {
            // Whoever deleted it saw to its media; to go on would bring it back.
            return Ok(JobOutcome::Done { recording_state: None, next: Vec::new() });
        }
        match job.kind {
            JobKind::Upload => upload::run(context, &recording, cancel).await,
            JobKind::CleanUp => clean_up::run(context, &recording, cancel).await,
        }
    };
    // A panic costs one attempt of one job, not the worker. Nothing that the job shares is left half-changed by it:
    // the stores are behind their own locks.
    AssertUnwindSafe(run).catch_unwind().await.unwrap_or(Err(JobError::Panicked))
}
