//! Ending a run, and a person's order to try again.

use chrono::Utc;
use model::{JobId, RecordingState, TenantId};
use sqlx::{SqliteConnection, SqlitePool};
use store::{JobOutcome, LeasedJob, StoreError, row};
use uuid::fmt::Hyphenated;

use crate::{Failure, begin_write, jobs::insert};

pub(super) async fn finish(
    pool: &SqlitePool,
    leased: &LeasedJob,
    outcome: JobOutcome,
) -> Result<(), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (state, run_at, error) = match &outcome {
        JobOutcome::Done { .. } => ("DONE", None, None),
        JobOutcome::RetryAt { at, error } => ("FAILED", Some(*at), Some(error)),
        JobOutcome::Parked { error } => ("PARKED", None, Some(error)),
    };
    let error = error.map(|error| row::text(error).into_owned());
    let (id, lease) = (leased.job.id.as_uuid().hyphenated(), leased.lease.hyphenated());
    let ended = sqlx::query!(
        "UPDATE jobs SET state = ?3, run_at = COALESCE(?4, run_at), error = ?5, lease_until = NULL
         WHERE id = ?1 AND lease = ?2 AND state = 'IN_PROGRESS'",
        id,
        lease,
        state,
        run_at,
        error,
    )
    .execute(&mut *transaction)
    .await?;
    if ended.rows_affected() == 0 {
        return finished_before(&mut transaction, leased).await;
    }
    let recording = leased.job.recording;
    match outcome {
        JobOutcome::Done { recording_state, next } => {
            if let Some(state) = recording_state {
                set_state(&mut transaction, recording.as_uuid().hyphenated(), state).await?;
            }
            insert(&mut transaction, recording, &leased.job.tenant, &next).await?;
        }
        JobOutcome::Parked { .. } => {
            park(&mut transaction, recording.as_uuid().hyphenated(), error.as_deref()).await?;
        }
        JobOutcome::RetryAt { .. } => {}
    }
    transaction.commit().await?;
    Ok(())
}

/// A finish whose answer was lost may be repeated: the job still has this lease, and its run is over.
async fn finished_before(connection: &mut SqliteConnection, leased: &LeasedJob) -> Result<(), Failure> {
    let (id, lease) = (leased.job.id.as_uuid().hyphenated(), leased.lease.hyphenated());
    let finished = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND lease = ?2) AS "finished!: bool""#,
        id,
        lease,
    )
    .fetch_one(connection)
    .await?;
    if finished { Ok(()) } else { Err(StoreError::LeaseLost(leased.job.id).into()) }
}

/// A recording that was deleted stays so, whatever becomes of its jobs.
async fn set_state(
    connection: &mut SqliteConnection,
    recording: Hyphenated,
    state: RecordingState,
) -> Result<(), Failure> {
    let state = state.as_str();
    sqlx::query!(
        "UPDATE recordings SET state = ?2, parked_from = NULL, parked_error = NULL
         WHERE id = ?1 AND state <> 'DELETED'",
        recording,
        state,
    )
    .execute(connection)
    .await?;
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

/// The recording goes back to the state from which it was parked, unless another of its jobs is parked too.
pub(super) async fn retry(pool: &SqlitePool, tenant: &TenantId, job: JobId) -> Result<(), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, tenant, now) = (job.as_uuid().hyphenated(), tenant.as_str(), Utc::now());
    let recording = sqlx::query_scalar!(
        r#"UPDATE jobs SET state = 'QUEUED', run_at = ?3, attempts = 0
         WHERE id = ?1 AND tenant = ?2 AND state IN ('PARKED', 'FAILED')
         RETURNING recording AS "recording: Hyphenated""#,
        id,
        tenant,
        now,
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "parked or failed job" })?;
    sqlx::query!(
        "UPDATE recordings SET state = parked_from, parked_from = NULL, parked_error = NULL
         WHERE id = ?1 AND state = 'PARKED' AND parked_from IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE recording = ?1 AND state = 'PARKED')",
        recording,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
