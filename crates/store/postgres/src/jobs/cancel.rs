//! Cancels jobs.

use chrono::Utc;
use model::{JobId, JobKind, JobState, RenditionId, RenditionState, TenantId};
use sqlx::PgPool;
use store::{Cancellation, Change, NewJob, StoreError, row};

use crate::{
    Failure, begin_transaction, jobs,
    listen::{announce, announce_jobs, announce_recording},
    renditions,
};

/// Only render jobs can be cancelled. A DELETE job removes what the runs of the job may have stored.
///
/// The UPDATE checks the state, because another transaction could change a state that was only read; SQLite's twin reads
/// it first.
pub(crate) async fn cancel(pool: &PgPool, tenant: &TenantId, job: JobId) -> Result<Cancellation, Failure> {
    let mut transaction = begin_transaction(pool).await?;
    let cancelled = sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, ended_at = now()
         WHERE id = $1 AND tenant = $2 AND kind = 'RENDER'
            AND state IN ('QUEUED', 'IN_PROGRESS', 'FAILED', 'PARKED')
         RETURNING recording, rendition, attempts",
        job.as_uuid(),
        tenant.as_str(),
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(cancelled) = cancelled else {
        let state = sqlx::query_scalar!(
            "SELECT state FROM jobs WHERE id = $1 AND tenant = $2",
            job.as_uuid(),
            tenant.as_str()
        )
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(StoreError::NotFound { what: "job" })?;
        return Ok(match row::known(&state)? {
            JobState::Cancelled => Cancellation::AlreadyCancelled,
            state => Cancellation::Refused(state),
        });
    };
    if let Some(rendition) = cancelled.rendition {
        let id = RenditionId::from(rendition);
        renditions::set_state(&mut transaction, id, RenditionState::Cancelled, None).await?;
        if cancelled.attempts > 0 {
            let removal = NewJob { kind: JobKind::Delete, node: None, run_at: Utc::now() };
            let recording = cancelled.recording.into();
            jobs::insert_one(&mut transaction, JobId::new(), recording, tenant, Some(id), &removal).await?;
            announce_jobs(&mut transaction).await?;
        }
    }
    announce(&mut transaction, Change::Cancelled(job)).await?;
    announce_recording(&mut transaction, cancelled.recording).await?;
    transaction.commit().await?;
    Ok(Cancellation::Cancelled)
}
