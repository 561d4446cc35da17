//! Runs a job of any kind once.

use std::{panic::AssertUnwindSafe, time::Duration};

use chrono::{TimeDelta, Utc};
use futures::FutureExt;
use model::{JobKind, Recording, RecordingState};
use store::{JobOutcome, LeasedJob};
use tokio_util::sync::CancellationToken;

use crate::{JobError, clean_up, context::Context, delete, render, upload};

const DONE: JobOutcome = JobOutcome::Done { recording_state: None, next: Vec::new() };
/// The shortest and the longest wait of a clean-up for renders.
const WAIT_FOR_RENDERS: (TimeDelta, TimeDelta) = (TimeDelta::seconds(10), TimeDelta::minutes(5));
/// Interval between two queries of a database that is away.
const RETRY: Duration = Duration::from_millis(500);

/// Runs a job once. The caller commits the outcome.
pub(crate) async fn dispatch(
    context: &Context,
    leased: &LeasedJob,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    // A panic costs one attempt of one job, not the worker. Unwind safe: what jobs share is behind locks of its own, whose
    // holders leave nothing half changed.
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
        // To upload or render would bring the recording back. A killed run may have stored the object after the removal.
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
        JobKind::CleanUp if renders_are_due(context, &recording).await? => {
            Ok(JobOutcome::Later { at: Utc::now() + wait_for_renders(&recording) })
        }
        JobKind::CleanUp => clean_up::run(context, &recording, cancel).await,
        JobKind::Delete => delete::run(context, leased, &recording).await,
    }
}

/// A recording may be deleted while a run stores something of it. If the removal was before that, the deletion is noticed
/// here, and what was stored is removed.
async fn unless_deleted(
    context: &Context,
    leased: &LeasedJob,
    outcome: JobOutcome,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let job = &leased.job;
    let recording = loop {
        match context.store.recording(&job.tenant, job.recording).await {
            // A failure would repeat the whole upload or render only because the database is away.
            Err(error) if error.is_transient() => {
                let wait = cancel.run_until_cancelled(tokio::time::sleep(RETRY));
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

/// Renders that start soon read the local file; without it they have to fetch the object.
async fn renders_are_due(context: &Context, recording: &Recording) -> Result<bool, JobError> {
    if since_end(recording).to_std().unwrap_or_default() >= context.config.keep_for_renders {
        return Ok(false);
    }
    let jobs = context.store.jobs_of(recording.id).await?;
    Ok(jobs.iter().any(|job| job.kind == JobKind::Render && !job.state.is_final()))
}

/// A quarter of the time since the recording's end, so that the clean-ups of many old recordings do not all query often.
fn wait_for_renders(recording: &Recording) -> TimeDelta {
    (since_end(recording) / 4).clamp(WAIT_FOR_RENDERS.0, WAIT_FOR_RENDERS.1)
}

fn since_end(recording: &Recording) -> TimeDelta {
    Utc::now() - recording.ended_at.unwrap_or(recording.started_at)
}
