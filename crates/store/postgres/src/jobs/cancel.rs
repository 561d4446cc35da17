//! Ending a job before it is done.

use model::{JobId, JobState, RenditionId, RenditionState, TenantId};
use sqlx::PgPool;
use store::{Cancellation, Change, StoreError, row};

use crate::{
    Failure, begin_transaction,
    listen::{announce, announce_recording},
    renditions,
};

/// Only renders can be cancelled: the other kinds keep a promise.
pub(super) async fn cancel(pool: &PgPool, tenant: &TenantId, job: JobId) -> Result<Cancellation, Failure> {
    let mut transaction = begin_transaction(pool).await?;
    let cancelled = sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL
         WHERE id = $1 AND tenant = $2 AND kind = 'RENDER'
            AND state IN ('QUEUED', 'IN_PROGRESS', 'FAILED', 'PARKED')
         RETURNING recording, rendition",
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
            JobState::Cancelled => Cancellation::Before,
            state => Cancellation::Refused(state),
        });
    };
    if let Some(rendition) = cancelled.rendition {
        let id = RenditionId::from(rendition);
        renditions::set_state(&mut transaction, id, RenditionState::Cancelled, None).await?;
    }
    announce(&mut transaction, Change::Cancelled(job)).await?;
    announce_recording(&mut transaction, cancelled.recording).await?;
    transaction.commit().await?;
    Ok(Cancellation::Now)
}
