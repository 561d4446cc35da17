//! Claims of periodic tasks that one node runs for all. The table is `turns`.

use std::time::Duration;

use sqlx::PgPool;

use crate::Failure;

pub(crate) async fn claim_run(pool: &PgPool, task: &str, interval: Duration) -> Result<bool, Failure> {
    let claimed = sqlx::query!(
        "INSERT INTO turns (task, next_at) VALUES ($1, now() + make_interval(secs => $2))
         ON CONFLICT (task) DO UPDATE SET next_at = excluded.next_at WHERE turns.next_at <= now()",
        task,
        interval.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(claimed.rows_affected() > 0)
}
