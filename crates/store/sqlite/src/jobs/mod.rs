//! Jobs and their leases.

pub(crate) mod cancel;
pub(crate) mod finish;
pub(crate) mod lease;
pub(crate) mod progress;

use chrono::{DateTime, Utc};
use model::{Job, JobId, JobKind, JobState, NodeId, RecordingId, RenditionId, TenantId};
use sqlx::{SqliteConnection, SqlitePool};
use store::{
    JobFilter, NewJob, StoreError,
    row::{self, JobRow},
};
use uuid::fmt::Hyphenated;

use crate::Failure;

/// Inserts jobs. The caller reports them after the commit.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    recording: RecordingId,
    tenant: &TenantId,
    jobs: &[NewJob],
) -> Result<(), Failure> {
    for job in jobs {
        insert_one(connection, JobId::new(), recording, tenant, None, job).await?;
    }
    Ok(())
}

/// Inserts one job.
pub(crate) async fn insert_one(
    connection: &mut SqliteConnection,
    id: JobId,
    recording: RecordingId,
    tenant: &TenantId,
    rendition: Option<RenditionId>,
    job: &NewJob,
) -> Result<(), Failure> {
    let (id, recording) = (id.as_uuid().hyphenated(), recording.as_uuid().hyphenated());
    let rendition = rendition.map(|id| id.as_uuid().hyphenated());
    let (tenant, kind) = (tenant.as_str(), job.kind.as_str());
    let (node, now) = (job.node.as_ref().map(NodeId::as_str), Utc::now());
    sqlx::query!(
        "INSERT INTO jobs (id, recording, tenant, rendition, kind, state, node, run_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'QUEUED', ?6, ?7, ?8)",
        id,
        recording,
        tenant,
        rendition,
        kind,
        node,
        job.run_at,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Unbinds the recording's render jobs from their node: the object store has the file.
pub(crate) async fn unbind_renders(
    connection: &mut SqliteConnection,
    recording: RecordingId,
) -> Result<(), Failure> {
    let recording = recording.as_uuid().hyphenated();
    sqlx::query!(
        "UPDATE jobs SET node = NULL WHERE recording = ?1 AND kind = 'RENDER' AND state <> 'DONE'",
        recording,
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
            r#"SELECT id AS "id: Hyphenated", recording AS "recording: Hyphenated", tenant,
                rendition AS "rendition: Hyphenated", kind, state, node, attempts, run_at AS "run_at: DateTime<Utc>",
                error, fraction, speed, remaining_ns, created_at AS "created_at: DateTime<Utc>",
                started_at AS "started_at: DateTime<Utc>", ended_at AS "ended_at: DateTime<Utc>"
             FROM jobs "# + $conditions,
            $($argument),+
        )
    };
}

pub(crate) async fn jobs_of(pool: &SqlitePool, recording: RecordingId) -> Result<Vec<Job>, Failure> {
    let recording = recording.as_uuid().hyphenated();
    let rows = jobs!("WHERE recording = ?1 ORDER BY created_at, id", recording).fetch_all(pool).await?;
    Ok(rows.into_iter().map(JobRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn job(pool: &SqlitePool, tenant: &TenantId, id: JobId) -> Result<Job, Failure> {
    let (id, tenant) = (id.as_uuid().hyphenated(), tenant.as_str());
    let row = jobs!("WHERE id = ?1 AND tenant = ?2", id, tenant)
        .fetch_optional(pool)
        .await?
        .ok_or(StoreError::NotFound { what: "job" })?;
    Ok(row.read()?)
}

pub(crate) async fn list_jobs(
    pool: &SqlitePool,
    tenant: &TenantId,
    filter: &JobFilter,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<Job>, Failure> {
    let tenant = tenant.as_str();
    let recording = filter.recording.map(|id| id.as_uuid().hyphenated());
    let (kind, state) = (filter.kind.map(JobKind::as_str), filter.state.map(JobState::as_str));
    let before = before.map(|id| id.as_uuid().hyphenated());
    let limit = limit.max(1);
    let rows = jobs!(
        "WHERE tenant = ?1
            AND (?2 IS NULL OR recording = ?2)
            AND (?3 IS NULL OR kind = ?3)
            AND (?4 IS NULL OR state = ?4)
            AND id < COALESCE(?5, '~')
         ORDER BY id DESC
         LIMIT ?6",
        tenant,
        recording,
        kind,
        state,
        before,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(JobRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn count_jobs(pool: &SqlitePool) -> Result<Vec<(JobKind, JobState, u64)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT kind, state, count(*) AS "jobs!: i64" FROM jobs WHERE state NOT IN ('DONE', 'CANCELLED')
           GROUP BY kind, state ORDER BY kind, state"#
    )
    .fetch_all(pool)
    .await?;
    let read = |kind: &str, state: &str, jobs| {
        Ok((row::known(kind)?, row::known(state)?, row::unsigned(jobs, "jobs")?))
    };
    rows.iter().map(|row| read(&row.kind, &row.state, row.jobs)).collect()
}
