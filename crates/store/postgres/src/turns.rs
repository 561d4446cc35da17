//! Work that one node does for all every so often.

use std::time::Duration;

use sqlx::PgPool;

use crate::Failure;

pub(crate) async fn take(pool: &PgPool, task: &str, every: Duration) -> Result<bool, Failure> {
    let taken = sqlx::query!(
        "INSERT INTO turns (task, next_at) VALUES ($1, now() + make_interval(secs => $2))
         ON CONFLICT (task) DO UPDATE SET next_at = excluded.next_at WHERE turns.next_at <= now()",
        task,
        every.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() > 0)
}
