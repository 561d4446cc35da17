//! Leases of jobs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{JobKind, NodeId};
use serde_json::Value;
use sqlx::SqlitePool;
use store::{LeasedJob, StoreError, row::JobRow};
use uuid::{Uuid, fmt::Hyphenated};

use crate::Failure;

/// One statement, which commits by itself. SQLite has one writer, so no other worker can lease the job meanwhile; the
/// Postgres twin needs FOR UPDATE SKIP LOCKED.
pub(crate) async fn lease(
    pool: &SqlitePool,
    node: &NodeId,
    kinds: &[JobKind],
    length: Duration,
) -> Result<Option<LeasedJob>, Failure> {
    let lease = Uuid::new_v4();
    let (now, until) = now_and_after(length);
    let (node, lease_text) = (node.as_str(), lease.hyphenated());
    let kinds = Value::from_iter(kinds.iter().map(|kind| kind.as_str())).to_string();
    let row = sqlx::query_as!(
        JobRow,
        r#"UPDATE jobs SET state = 'IN_PROGRESS', attempts = attempts + (state <> 'IN_PROGRESS'), lease = ?3, lease_until = ?5,
               started_at = ?4, ended_at = NULL
           WHERE id = (
               SELECT id FROM jobs
               WHERE due_at <= ?4 AND (node IS NULL OR node = ?1) AND kind IN (SELECT value FROM json_each(?2))
               ORDER BY due_at, id
               LIMIT 1
           )
           RETURNING id AS "id!: Hyphenated", recording AS "recording!: Hyphenated", tenant AS "tenant!",
               rendition AS "rendition: Hyphenated", kind AS "kind!", state AS "state!", node,
               attempts AS "attempts!", run_at AS "run_at!: DateTime<Utc>", error, fraction, speed, remaining_ns,
               created_at AS "created_at!: DateTime<Utc>", started_at AS "started_at: DateTime<Utc>",
               ended_at AS "ended_at: DateTime<Utc>""#,
        node,
        kinds,
        lease_text,
        now,
        until,
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(LeasedJob { job: row.read()?, lease, until }))
}

/// An expired lease can be renewed until another worker leases the job.
pub(crate) async fn renew(
    pool: &SqlitePool,
    leased: &LeasedJob,
    length: Duration,
) -> Result<DateTime<Utc>, Failure> {
    let (id, lease) = (leased.job.id.as_uuid().hyphenated(), leased.lease.hyphenated());
    let (_, until) = now_and_after(length);
    let renewed = sqlx::query!(
        "UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND lease = ?2 AND state = 'IN_PROGRESS'",
        id,
        lease,
        until,
    )
    .execute(pool)
    .await?;
    if renewed.rows_affected() == 0 { Err(StoreError::LeaseLost(leased.job.id).into()) } else { Ok(until) }
}

/// The time until the next job becomes due. Jobs that are due already are not considered.
pub(crate) async fn next_due(pool: &SqlitePool) -> Result<Option<Duration>, Failure> {
    let now = Utc::now();
    let due =
        sqlx::query_scalar!(r#"SELECT min(due_at) AS "due: DateTime<Utc>" FROM jobs WHERE due_at > ?1"#, now)
            .fetch_one(pool)
            .await?;
    // Rounded up by a millisecond, the resolution of the timer, so that the job is due when the wait ends.
    Ok(due.and_then(|due| (due - now).to_std().ok()).map(|wait| wait + Duration::from_millis(1)))
}

/// Now, and `length` later, at most a century, so that its year has four digits: times are compared as text.
fn now_and_after(length: Duration) -> (DateTime<Utc>, DateTime<Utc>) {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let now = Utc::now();
    (now, now + length.min(CENTURY))
}
