//! Runs a job of any kind.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use blob::BlobStore;
use chrono::{TimeDelta, Utc};
use futures::FutureExt;
use model::{JobKind, Recording, RecordingState};
use store::{JobOutcome, LeasedJob, Store};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    JobError, JobsConfig, Renderer, clean_up, delete, live_render::Followers, live_upload::LiveUploads,
    render, upload,
};

const DONE: JobOutcome = JobOutcome::Done { recording_state: None, next: Vec::new() };
/// How soon and how late a clean-up looks again whether the renders that it waits for are done.
const LOOK_AGAIN: (TimeDelta, TimeDelta) = (TimeDelta::seconds(10), TimeDelta::minutes(5));
/// Between two questions to a database that is away.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What jobs work with.
pub(crate) struct Context {
    pub config: JobsConfig,
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn BlobStore>,
    pub renderer: Arc<dyn Renderer>,
    /// Uploads of files that still grow.
    pub streams: LiveUploads,
    /// Who makes segments of them.
    pub followers: Followers,
    /// This run of the process.
    pub run: Uuid,
}

/// Runs a job once. The outcome is not written down yet.
pub(crate) async fn perform(
    context: &Context,
    leased: &LeasedJob,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    // A panic costs one attempt of one job, not the worker. Nothing that the job shares is left half-changed by it:
    // the stores are behind their own locks.
    let run = AssertUnwindSafe(run(context, leased, cancel));
    run.catch_unwind().await.unwrap_or(Err(JobError::Panicked))
}

async fn run(
    context: &Context,
    leased: &LeasedJob,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let job = &leased.job;
    let recording = context.store.recording(&job.tenant, job.recording).await?;
    if recording.state == RecordingState::Deleted && job.kind != JobKind::Delete {
        // To go on would bring it back. But a run that was killed may have stored it after whoever deleted it had looked.
        if job.kind == JobKind::Upload {
            delete::objects(context, &recording).await?;
        }
        return Ok(DONE);
    }
    match job.kind {
        JobKind::Upload => {
            let outcome = upload::run(context, leased, &recording, cancel).await?;
            unless_deleted(context, leased, outcome, cancel).await
        }
        JobKind::Render => {
            let outcome = render::run(context, leased, &recording, cancel).await?;
            unless_deleted(context, leased, outcome, cancel).await
        }
        JobKind::CleanUp if is_wanted_by_renders(context, &recording).await? => {
            Ok(JobOutcome::Later { at: Utc::now() + look_again(&recording) })
        }
        JobKind::CleanUp => clean_up::run(context, &recording, cancel).await,
        JobKind::Delete => delete::run(context, leased, &recording).await,
    }
}

/// A recording may be deleted while a run stores something of it. Either its removal comes after what was stored, or it
/// is seen here that it came before.
async fn unless_deleted(
    context: &Context,
    leased: &LeasedJob,
    outcome: JobOutcome,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let job = &leased.job;
    let recording = loop {
        match context.store.recording(&job.tenant, job.recording).await {
            // What was stored is not stored again only because nobody can say so yet.
            Err(error) if error.is_transient() => {
                let wait = cancel.run_until_cancelled(tokio::time::sleep(ASK_AGAIN));
                wait.await.ok_or(JobError::Cancelled)?;
            }
            found => break found?,
        }
    };
    if recording.state == RecordingState::Deleted {
        delete::objects(context, &recording).await?;
        return Ok(DONE);
    }
    Ok(outcome)
}

/// Renders read the local file rather than fetch it, if they come to it within reasonable time.
async fn is_wanted_by_renders(context: &Context, recording: &Recording) -> Result<bool, JobError> {
    if since_its_end(recording).to_std().unwrap_or_default() >= context.config.keep_for_renders {
        return Ok(false);
    }
    let jobs = context.store.jobs_of(recording.id).await?;
    Ok(jobs.iter().any(|job| job.kind == JobKind::Render && !job.state.is_final()))
}

/// What has taken long will take as long again: of many that wait, few look at a time.
fn look_again(recording: &Recording) -> TimeDelta {
    (since_its_end(recording) / 4).clamp(LOOK_AGAIN.0, LOOK_AGAIN.1)
}

fn since_its_end(recording: &Recording) -> TimeDelta {
    Utc::now() - recording.ended_at.unwrap_or(recording.started_at)
}
