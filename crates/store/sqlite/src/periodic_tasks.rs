//! Claims of periodic tasks that one process runs for all. The table is `turns`.

use std::time::Duration;

use chrono::Utc;
use sqlx::SqlitePool;

use crate::Failure;

pub(crate) async fn claim_run(pool: &SqlitePool, task: &str, interval: Duration) -> Result<bool, Failure> {
    // At most a century, so that the year has four digits: times are compared as text.
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let now = Utc::now();
    let next = now + interval.min(CENTURY);
    let claimed = sqlx::query!(
        "INSERT INTO turns (task, next_at) VALUES (?1, ?3)
         ON CONFLICT (task) DO UPDATE SET next_at = excluded.next_at WHERE turns.next_at <= ?2",
        task,
        now,
        next,
    )
    .execute(pool)
    .await?;
    Ok(claimed.rows_affected() > 0)
}
