//! Leases of jobs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{JobKind, NodeId};
use sqlx::PgPool;
use store::{LeasedJob, StoreError, row::JobRow};
use uuid::Uuid;

use crate::Failure;

/// One statement, which commits by itself. SKIP LOCKED passes over a row that another worker leases at this moment; SQLite
/// has one writer, so its twin needs no lock.
pub(crate) async fn lease(
    pool: &PgPool,
    node: &NodeId,
    kinds: &[JobKind],
    length: Duration,
) -> Result<Option<LeasedJob>, Failure> {
    let lease = Uuid::new_v4();
    let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    let row = sqlx::query!(
        r#"UPDATE jobs
           SET state = 'IN_PROGRESS', attempts = attempts + (state <> 'IN_PROGRESS')::int, lease = $3,
               lease_until = now() + make_interval(secs => $4), started_at = now(), ended_at = NULL
           WHERE id = (
               SELECT id FROM jobs
               WHERE due_at <= now() AND (node IS NULL OR node = $1) AND kind = ANY($2)
               ORDER BY due_at, id
               LIMIT 1
               FOR UPDATE SKIP LOCKED
           )
           RETURNING id, recording, tenant, rendition, kind, state, node, attempts, run_at, error, fraction, speed,
               remaining_ns, created_at, started_at, ended_at, lease_until AS "until!""#,
        node.as_str(),
        &kinds,
        lease,
        length.as_secs_f64(),
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let job = JobRow {
        id: row.id,
        recording: row.recording,
        tenant: row.tenant,
        rendition: row.rendition.into(),
        kind: row.kind,
        state: row.state,
        node: row.node,
        attempts: row.attempts,
        run_at: row.run_at,
        error: row.error,
        fraction: row.fraction,
        speed: row.speed,
        remaining_ns: row.remaining_ns,
        created_at: row.created_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
    };
    Ok(Some(LeasedJob { job: job.read()?, lease, until: row.until }))
}

/// An expired lease can be renewed until another worker leases the job.
pub(crate) async fn renew(
    pool: &PgPool,
    leased: &LeasedJob,
    length: Duration,
) -> Result<DateTime<Utc>, Failure> {
    sqlx::query_scalar!(
        r#"UPDATE jobs SET lease_until = now() + make_interval(secs => $3)
           WHERE id = $1 AND lease = $2 AND state = 'IN_PROGRESS'
           RETURNING lease_until AS "until!""#,
        leased.job.id.as_uuid(),
        leased.lease,
        length.as_secs_f64(),
    )
    .fetch_optional(pool)
    .await?
    .ok_or_else(|| StoreError::LeaseLost(leased.job.id).into())
}

/// The time until the next job becomes due. Jobs that are due already are not considered.
pub(crate) async fn next_due(pool: &PgPool) -> Result<Option<Duration>, Failure> {
    let seconds = sqlx::query_scalar!(
        "SELECT EXTRACT(EPOCH FROM min(due_at) - now())::float8 FROM jobs WHERE due_at > now()"
    )
    .fetch_one(pool)
    .await?;
    // Rounded up by a millisecond, the resolution of the timer, so that the job is due when the wait ends.
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds + 0.001).unwrap_or(Duration::MAX)))
}
