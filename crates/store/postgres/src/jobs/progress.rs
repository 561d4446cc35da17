//! Progress of running jobs.

use model::Progress;
use sqlx::PgPool;
use store::{LeasedJob, StoreError, row};

use crate::{Failure, begin_transaction, listen::announce_recording};

pub(crate) async fn set_progress(
    pool: &PgPool,
    leased: &LeasedJob,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut transaction = begin_transaction(pool).await?;
    let written = sqlx::query!(
        "UPDATE jobs SET fraction = $3, speed = $4, remaining_ns = $5
         WHERE id = $1 AND lease = $2 AND state = 'IN_PROGRESS'
         RETURNING rendition",
        leased.job.id.as_uuid(),
        leased.lease,
        progress.fraction,
        progress.speed,
        progress.remaining.map(row::nanoseconds),
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::LeaseLost(leased.job.id))?;
    sqlx::query!(
        "UPDATE renditions SET state = 'IN_PROGRESS' WHERE id = $1 AND state = 'QUEUED'",
        written.rendition
    )
    .execute(&mut *transaction)
    .await?;
    announce_recording(&mut transaction, leased.job.recording).await?;
    transaction.commit().await?;
    Ok(())
}
