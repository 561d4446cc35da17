//! The end of a run, and the retry of a job.

use model::{JobId, JobKind, RecordingState, RenditionId, RenditionState, TenantId};
use sqlx::{PgConnection, PgPool};
use store::{JobOutcome, LeasedJob, StoreError, row};
use uuid::Uuid;

use crate::{
    Failure, begin_transaction,
    jobs::{from_now, insert, unbind_renders},
    listen::{announce_jobs, announce_recording},
    recordings, renditions,
};

pub(crate) async fn finish(pool: &PgPool, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), Failure> {
    let mut transaction = begin_transaction(pool).await?;
    if changes_recording(&outcome, leased) {
        recordings::lock(&mut transaction, leased.job.recording).await?;
    }
    let (state, wait, error) = match &outcome {
        JobOutcome::Done { .. } | JobOutcome::Rendered(_) => ("DONE", None, None),
        JobOutcome::RetryAt { at, error } => ("FAILED", Some(from_now(*at)), Some(error)),
        JobOutcome::Parked { error } => ("PARKED", None, Some(error)),
        JobOutcome::Later { at } => ("QUEUED", Some(from_now(*at)), None),
    };
    let uncounted = i64::from(matches!(outcome, JobOutcome::Later { .. }));
    let is_due_again = matches!(outcome, JobOutcome::RetryAt { .. } | JobOutcome::Later { .. });
    let error = error.map(|error| row::text(error).into_owned());
    let ended = sqlx::query!(
        "UPDATE jobs SET state = $3, run_at = COALESCE(now() + make_interval(secs => $4), run_at), error = $5, lease_until = NULL,
            attempts = attempts - $6,
            started_at = CASE WHEN $6 = 0 THEN started_at END, ended_at = CASE WHEN $6 = 0 THEN now() END
         WHERE id = $1 AND lease = $2 AND state = 'IN_PROGRESS'",
        leased.job.id.as_uuid(),
        leased.lease,
        state,
        wait,
        error.as_deref(),
        uncounted,
    )
    .execute(&mut *transaction)
    .await?;
    if ended.rows_affected() == 0 {
        return finished_before(&mut transaction, leased).await;
    }
    let (recording, rendition) = (leased.job.recording, leased.job.rendition);
    match (outcome, rendition) {
        (JobOutcome::Done { recording_state, next }, _) => {
            if let Some(state) = recording_state {
                set_state(&mut transaction, recording.as_uuid(), state).await?;
            }
            insert(&mut transaction, recording, &leased.job.tenant, &next).await?;
        }
        (JobOutcome::Rendered(file), Some(id)) => renditions::rendered(&mut transaction, id, &file).await?,
        (JobOutcome::Parked { .. } | JobOutcome::RetryAt { .. }, Some(id)) => {
            if leased.job.kind == JobKind::Render {
                let state = if state == "PARKED" { RenditionState::Parked } else { RenditionState::Queued };
                renditions::set_state(&mut transaction, id, state, error.as_deref()).await?;
            }
        }
        (JobOutcome::Parked { .. }, None) => {
            park(&mut transaction, recording.as_uuid(), error.as_deref()).await?;
        }
        (JobOutcome::Rendered(_), None) => {
            debug_assert!(false, "only a render job reports a rendered file, and it has a rendition");
        }
        (JobOutcome::RetryAt { .. }, None) | (JobOutcome::Later { .. }, _) => {}
    }
    if is_due_again {
        announce_jobs(&mut transaction).await?;
    }
    announce_recording(&mut transaction, recording).await?;
    transaction.commit().await?;
    Ok(())
}

/// Whether the outcome changes the recording's row, which is then locked before its jobs. SQLite's twin needs no lock.
fn changes_recording(outcome: &JobOutcome, leased: &LeasedJob) -> bool {
    match outcome {
        JobOutcome::Done { recording_state, .. } => recording_state.is_some(),
        JobOutcome::Parked { .. } => leased.job.rendition.is_none(),
        JobOutcome::Rendered(_) | JobOutcome::RetryAt { .. } | JobOutcome::Later { .. } => false,
    }
}

/// A `finish` whose answer was lost may be repeated: the job still has this lease, and its run has ended. The run of a
/// cancelled job has lost its lease.
async fn finished_before(connection: &mut PgConnection, leased: &LeasedJob) -> Result<(), Failure> {
    let finished = sqlx::query_scalar!(
        r#"SELECT EXISTS (
            SELECT FROM jobs WHERE id = $1 AND lease = $2 AND state <> 'CANCELLED'
        ) AS "finished!""#,
        leased.job.id.as_uuid(),
        leased.lease,
    )
    .fetch_one(connection)
    .await?;
    if finished { Ok(()) } else { Err(StoreError::LeaseLost(leased.job.id).into()) }
}

/// Sets the state, except of a DELETED recording.
async fn set_state(
    connection: &mut PgConnection,
    recording: Uuid,
    state: RecordingState,
) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE recordings SET state = $2, parked_from = NULL, parked_error = NULL, lost = NULL
         WHERE id = $1 AND state <> 'DELETED'",
        recording,
        state.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    if state == RecordingState::Available {
        // Now any node can fetch the media from the object store.
        unbind_renders(connection, recording.into()).await?;
    }
    Ok(())
}

async fn park(connection: &mut PgConnection, recording: Uuid, error: Option<&str>) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE recordings SET state = 'PARKED', parked_from = COALESCE(parked_from, state), parked_error = $2
         WHERE id = $1 AND state <> 'DELETED'",
        recording,
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Also returns the recording to its state before it was parked, unless another of its jobs is parked.
pub(crate) async fn retry(pool: &PgPool, tenant: &TenantId, job: JobId) -> Result<(), Failure> {
    let none = || StoreError::NotFound { what: "parked, failed or cancelled job" };
    let mut transaction = begin_transaction(pool).await?;
    let recording = sqlx::query_scalar!(
        "SELECT recording FROM jobs WHERE id = $1 AND tenant = $2",
        job.as_uuid(),
        tenant.as_str()
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or_else(none)?;
    // Two jobs may be retried at the same time: the second has to see that the first is not parked any more. SQLite's twin
    // is alone and does not read the recording first.
    recordings::lock(&mut transaction, recording.into()).await?;
    // Only the newest job of a rendition can be retried.
    let retried = sqlx::query!(
        "UPDATE jobs SET state = 'QUEUED', run_at = now(), attempts = 0, fraction = NULL,
            started_at = NULL, ended_at = NULL
         WHERE id = $1 AND tenant = $2 AND state IN ('PARKED', 'FAILED', 'CANCELLED')
            AND (kind = 'DELETE' OR NOT EXISTS (
                SELECT FROM recordings WHERE recordings.id = jobs.recording AND recordings.state = 'DELETED'))
            AND (kind <> 'RENDER' OR EXISTS (
                SELECT FROM renditions
                WHERE renditions.id = jobs.rendition AND renditions.job = jobs.id AND renditions.state <> 'DELETED'))
         RETURNING recording, rendition, kind",
        job.as_uuid(),
        tenant.as_str(),
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or_else(none)?;
    sqlx::query!(
        "UPDATE recordings SET state = parked_from, parked_from = NULL, parked_error = NULL
         WHERE id = $1 AND state = 'PARKED' AND parked_from IS NOT NULL
            AND NOT EXISTS (SELECT FROM jobs WHERE recording = $1 AND rendition IS NULL AND state = 'PARKED')",
        retried.recording,
    )
    .execute(&mut *transaction)
    .await?;
    if let Some(rendition) = retried.rendition.filter(|_| retried.kind == JobKind::Render.as_str()) {
        let id = RenditionId::from(rendition);
        renditions::cancel_removal(&mut transaction, retried.recording.into(), id).await?;
        renditions::set_state(&mut transaction, id, RenditionState::Queued, None).await?;
    }
    announce_recording(&mut transaction, retried.recording).await?;
    announce_jobs(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}
