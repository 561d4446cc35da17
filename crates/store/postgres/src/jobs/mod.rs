//! Jobs and their leases.

pub(crate) mod cancel;
pub(crate) mod finish;
pub(crate) mod lease;
pub(crate) mod progress;

use chrono::{DateTime, Utc};
use model::{Job, JobId, JobKind, JobState, NodeId, RecordingId, RenditionId, TenantId};
use sqlx::{PgConnection, PgPool};
use store::{
    JobFilter, NewJob, StoreError,
    row::{self, JobRow},
};

use crate::{Failure, listen::announce_jobs};

/// Inserts jobs, and announces them when the transaction is committed.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    recording: RecordingId,
    tenant: &TenantId,
    jobs: &[NewJob],
) -> Result<(), Failure> {
    for job in jobs {
        insert_one(connection, JobId::new(), recording, tenant, None, job).await?;
    }
    if jobs.is_empty() { Ok(()) } else { announce_jobs(connection).await }
}

/// Inserts one job without announcing it.
pub(crate) async fn insert_one(
    connection: &mut PgConnection,
    id: JobId,
    recording: RecordingId,
    tenant: &TenantId,
    rendition: Option<RenditionId>,
    job: &NewJob,
) -> Result<(), Failure> {
    sqlx::query!(
        "INSERT INTO jobs (id, recording, tenant, rendition, kind, state, node, run_at)
         VALUES ($1, $2, $3, $4, $5, 'QUEUED', $6, now() + make_interval(secs => $7))",
        id.as_uuid(),
        recording.as_uuid(),
        tenant.as_str(),
        rendition.map(RenditionId::as_uuid),
        job.kind.as_str(),
        job.node.as_ref().map(NodeId::as_str),
        from_now(job.run_at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Seconds until a time of this node's clock. The database adds them to its own clock, by which jobs become due; SQLite's
/// twin stores the time itself. Up to a second ago counts as now, so that jobs that one transaction inserts as due at once
/// have the same time and are ordered by id.
fn from_now(at: DateTime<Utc>) -> f64 {
    const TOLERANCE: f64 = 1.0;
    let wait = (at - Utc::now()).as_seconds_f64();
    if (-TOLERANCE..0.0).contains(&wait) { 0.0 } else { wait }
}

/// Unbinds the recording's render jobs from their node: the object store has the file.
pub(crate) async fn unbind_renders(
    connection: &mut PgConnection,
    recording: RecordingId,
) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE jobs SET node = NULL WHERE recording = $1 AND kind = 'RENDER' AND state <> 'DONE'",
        recording.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A query of jobs: the literal of its conditions, then its arguments.
macro_rules! jobs {
    ($conditions:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            JobRow,
            "SELECT id, recording, tenant, rendition, kind, state, node, attempts, run_at, error, fraction, speed,
                remaining_ns, created_at, started_at, ended_at
             FROM jobs " + $conditions,
            $($argument),+
        )
    };
}

pub(crate) async fn jobs_of(pool: &PgPool, recording: RecordingId) -> Result<Vec<Job>, Failure> {
    let rows =
        jobs!("WHERE recording = $1 ORDER BY created_at, id", recording.as_uuid()).fetch_all(pool).await?;
    Ok(rows.into_iter().map(JobRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn job(pool: &PgPool, tenant: &TenantId, id: JobId) -> Result<Job, Failure> {
    let row = jobs!("WHERE id = $1 AND tenant = $2", id.as_uuid(), tenant.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or(StoreError::NotFound { what: "job" })?;
    Ok(row.read()?)
}

pub(crate) async fn list_jobs(
    pool: &PgPool,
    tenant: &TenantId,
    filter: &JobFilter,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<Job>, Failure> {
    let rows = jobs!(
        "WHERE tenant = $1
            AND ($2::uuid IS NULL OR recording = $2)
            AND ($3::text IS NULL OR kind = $3)
            AND ($4::text IS NULL OR state = $4)
            AND id < COALESCE($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         ORDER BY id DESC
         LIMIT $6",
        tenant.as_str(),
        filter.recording.map(RecordingId::as_uuid),
        filter.kind.map(JobKind::as_str),
        filter.state.map(JobState::as_str),
        before.map(JobId::as_uuid),
        i64::from(limit.max(1)),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(JobRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn count_jobs(pool: &PgPool) -> Result<Vec<(JobKind, JobState, u64)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT kind, state, count(*) AS "jobs!" FROM jobs WHERE state NOT IN ('DONE', 'CANCELLED')
           GROUP BY kind, state ORDER BY kind, state"#
    )
    .fetch_all(pool)
    .await?;
    let read = |kind: &str, state: &str, jobs| {
        Ok((row::known(kind)?, row::known(state)?, row::unsigned(jobs, "jobs")?))
    };
    rows.iter().map(|row| read(&row.kind, &row.state, row.jobs)).collect()
}
