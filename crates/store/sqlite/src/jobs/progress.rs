//! Progress of running jobs.

use model::Progress;
use sqlx::SqlitePool;
use store::{LeasedJob, StoreError, row};

use crate::{Failure, begin_write};

pub(crate) async fn set_progress(
    pool: &SqlitePool,
    leased: &LeasedJob,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, lease) = (leased.job.id.as_uuid().hyphenated(), leased.lease.hyphenated());
    let remaining = progress.remaining.map(row::nanoseconds);
    let written = sqlx::query!(
        "UPDATE jobs SET fraction = ?3, speed = ?4, remaining_ns = ?5
         WHERE id = ?1 AND lease = ?2 AND state = 'IN_PROGRESS'",
        id,
        lease,
        progress.fraction,
        progress.speed,
        remaining,
    )
    .execute(&mut *transaction)
    .await?;
    if written.rows_affected() == 0 {
        return Err(StoreError::LeaseLost(leased.job.id).into());
    }
    let rendition = leased.job.rendition.map(|id| id.as_uuid().hyphenated());
    sqlx::query!("UPDATE renditions SET state = 'IN_PROGRESS' WHERE id = ?1 AND state = 'QUEUED'", rendition)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
