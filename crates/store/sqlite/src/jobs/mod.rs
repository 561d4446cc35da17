//! Jobs and their leases.

mod finish;
mod lease;

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{Job, JobId, JobKind, JobState, NodeId, RecordingId, TenantId};
use sqlx::{SqliteConnection, SqlitePool};
use store::{
    JobOutcome, JobQueue, LeasedJob, NewJob, StoreError,
    row::{self, JobRow},
};
use uuid::fmt::Hyphenated;

use crate::{Failure, SqliteStore};

#[async_trait::async_trait]
impl JobQueue for SqliteStore {
    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError> {
        Ok(lease::lease(&self.writer, node, kinds, length).await?)
    }

    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
        Ok(lease::renew(&self.writer, leased, length).await?)
    }

    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
        finish::finish(&self.writer, leased, outcome).await?;
        self.signal.notify();
        Ok(())
    }

    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError> {
        Ok(jobs_of(&self.readers, recording).await?)
    }

    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError> {
        finish::retry(&self.writer, tenant, job).await?;
        self.signal.notify();
        Ok(())
    }

    async fn depth(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        Ok(depth(&self.readers).await?)
    }

    async fn wait_for_jobs(&self, at_most: Duration) {
        // Without an answer the worker looks when its time is up.
        let next = tokio::time::timeout(at_most, lease::next_due(&self.readers)).await;
        let next = next.ok().and_then(Result::ok).flatten().unwrap_or(at_most);
        self.signal.wait(next.min(at_most)).await;
    }
}

/// Writes new jobs. Whoever commits them notifies the waiting workers.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    recording: RecordingId,
    tenant: &TenantId,
    jobs: &[NewJob],
) -> Result<(), Failure> {
    for job in jobs {
        let id = JobId::new().as_uuid().hyphenated();
        let recording = recording.as_uuid().hyphenated();
        let (tenant, kind, node) =
            (tenant.as_str(), job.kind.as_str(), job.node.as_ref().map(NodeId::as_str));
        let now = Utc::now();
        sqlx::query!(
            "INSERT INTO jobs (id, recording, tenant, kind, state, node, run_at, created_at)
             VALUES (?1, ?2, ?3, ?4, 'QUEUED', ?5, ?6, ?7)",
            id,
            recording,
            tenant,
            kind,
            node,
            job.run_at,
            now,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn jobs_of(pool: &SqlitePool, recording: RecordingId) -> Result<Vec<Job>, Failure> {
    let recording = recording.as_uuid().hyphenated();
    let rows = sqlx::query_as!(
        JobRow,
        r#"SELECT id AS "id: Hyphenated", recording AS "recording: Hyphenated", tenant, kind, state, node, attempts,
            run_at AS "run_at: DateTime<Utc>", error
           FROM jobs WHERE recording = ?1 ORDER BY created_at, id"#,
        recording,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(JobRow::read).collect::<Result<_, _>>()?)
}

async fn depth(pool: &SqlitePool) -> Result<Vec<(JobKind, JobState, u64)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT kind, state, count(*) AS "jobs!: i64" FROM jobs WHERE state <> 'DONE' GROUP BY kind, state
           ORDER BY kind, state"#
    )
    .fetch_all(pool)
    .await?;
    let read = |kind: &str, state: &str, jobs| {
        Ok((row::known(kind)?, row::known(state)?, row::unsigned(jobs, "jobs")?))
    };
    rows.iter().map(|row| read(&row.kind, &row.state, row.jobs)).collect()
}
