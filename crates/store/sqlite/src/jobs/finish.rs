//! The end of a run, and the retry of a job.

use chrono::Utc;
use model::{JobId, JobKind, RecordingId, RecordingState, RenditionId, RenditionState, TenantId};
use sqlx::{SqliteConnection, SqlitePool};
use store::{JobOutcome, LeasedJob, StoreError, row};
use uuid::fmt::Hyphenated;

use crate::{
    Failure, begin_write,
    jobs::{insert, unbind_renders},
    renditions,
};

pub(crate) async fn finish(
    pool: &SqlitePool,
    leased: &LeasedJob,
    outcome: JobOutcome,
) -> Result<(), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (state, run_at, error) = match &outcome {
        JobOutcome::Done { .. } | JobOutcome::Rendered(_) => ("DONE", None, None),
        JobOutcome::RetryAt { at, error } => ("FAILED", Some(*at), Some(error)),
        JobOutcome::Parked { error } => ("PARKED", None, Some(error)),
        JobOutcome::Later { at } => ("QUEUED", Some(*at), None),
    };
    let uncounted = i64::from(matches!(outcome, JobOutcome::Later { .. }));
    let error = error.map(|error| row::text(error).into_owned());
    let (id, lease, now) = (leased.job.id.as_uuid().hyphenated(), leased.lease.hyphenated(), Utc::now());
    let ended = sqlx::query!(
        "UPDATE jobs SET state = ?3, run_at = COALESCE(?4, run_at), error = ?5, lease_until = NULL,
            attempts = attempts - ?6,
            started_at = CASE WHEN ?6 = 0 THEN started_at END, ended_at = CASE WHEN ?6 = 0 THEN ?7 END
         WHERE id = ?1 AND lease = ?2 AND state = 'IN_PROGRESS'",
        id,
        lease,
        state,
        run_at,
        error,
        uncounted,
        now,
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
                set_state(&mut transaction, recording.as_uuid().hyphenated(), state).await?;
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
            park(&mut transaction, recording.as_uuid().hyphenated(), error.as_deref()).await?;
        }
        (JobOutcome::Rendered(_), None) => {
            debug_assert!(false, "only a render job reports a rendered file, and it has a rendition");
        }
        (JobOutcome::RetryAt { .. }, None) | (JobOutcome::Later { .. }, _) => {}
    }
    transaction.commit().await?;
    Ok(())
}

/// A `finish` whose answer was lost may be repeated: the job still has this lease, and its run has ended. The run of a
/// cancelled job has lost its lease.
async fn finished_before(connection: &mut SqliteConnection, leased: &LeasedJob) -> Result<(), Failure> {
    let (id, lease) = (leased.job.id.as_uuid().hyphenated(), leased.lease.hyphenated());
    let finished = sqlx::query_scalar!(
        r#"SELECT EXISTS (
            SELECT 1 FROM jobs WHERE id = ?1 AND lease = ?2 AND state <> 'CANCELLED'
        ) AS "finished!: bool""#,
        id,
        lease,
    )
    .fetch_one(connection)
    .await?;
    if finished { Ok(()) } else { Err(StoreError::LeaseLost(leased.job.id).into()) }
}

/// Sets the state, except of a DELETED recording.
async fn set_state(
    connection: &mut SqliteConnection,
    recording: Hyphenated,
    state: RecordingState,
) -> Result<(), Failure> {
    let state = state.as_str();
    sqlx::query!(
        "UPDATE recordings SET state = ?2, parked_from = NULL, parked_error = NULL, lost = NULL
         WHERE id = ?1 AND state <> 'DELETED'",
        recording,
        state,
    )
    .execute(&mut *connection)
    .await?;
    if state == RecordingState::Available.as_str() {
        // Now any node can fetch the media from the object store.
        unbind_renders(connection, recording.into_uuid().into()).await?;
    }
    Ok(())
}

async fn park(
    connection: &mut SqliteConnection,
    recording: Hyphenated,
    error: Option<&str>,
) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE recordings SET state = 'PARKED', parked_from = COALESCE(parked_from, state), parked_error = ?2
         WHERE id = ?1 AND state <> 'DELETED'",
        recording,
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Also returns the recording to its state before it was parked, unless another of its jobs is parked.
pub(crate) async fn retry(pool: &SqlitePool, tenant: &TenantId, job: JobId) -> Result<RecordingId, Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, tenant, now) = (job.as_uuid().hyphenated(), tenant.as_str(), Utc::now());
    // Only the newest job of a rendition can be retried.
    let retried = sqlx::query!(
        r#"UPDATE jobs SET state = 'QUEUED', run_at = ?3, attempts = 0, fraction = NULL,
            started_at = NULL, ended_at = NULL
         WHERE id = ?1 AND tenant = ?2 AND state IN ('PARKED', 'FAILED', 'CANCELLED')
            AND (kind = 'DELETE' OR NOT EXISTS (
                SELECT 1 FROM recordings WHERE recordings.id = jobs.recording AND recordings.state = 'DELETED'))
            AND (kind <> 'RENDER' OR EXISTS (
                SELECT 1 FROM renditions
                WHERE renditions.id = jobs.rendition AND renditions.job = jobs.id AND renditions.state <> 'DELETED'))
         RETURNING recording AS "recording!: Hyphenated", rendition AS "rendition: Hyphenated", kind AS "kind!""#,
        id,
        tenant,
        now,
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "parked, failed or cancelled job" })?;
    let recording = RecordingId::from(retried.recording.into_uuid());
    sqlx::query!(
        "UPDATE recordings SET state = parked_from, parked_from = NULL, parked_error = NULL
         WHERE id = ?1 AND state = 'PARKED' AND parked_from IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE recording = ?1 AND rendition IS NULL AND state = 'PARKED')",
        retried.recording,
    )
    .execute(&mut *transaction)
    .await?;
    if let Some(rendition) = retried.rendition.filter(|_| retried.kind == JobKind::Render.as_str()) {
        let id = RenditionId::from(rendition.into_uuid());
        renditions::cancel_removal(&mut transaction, recording, id).await?;
        renditions::set_state(&mut transaction, id, RenditionState::Queued, None).await?;
    }
    transaction.commit().await?;
    Ok(recording)
}
