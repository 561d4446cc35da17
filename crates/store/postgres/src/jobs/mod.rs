//! Jobs and their leases.

mod finish;
mod lease;

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{Job, JobId, JobKind, JobState, NodeId, RecordingId, TenantId};
use sqlx::{PgConnection, PgPool};
use store::{
    JobOutcome, JobQueue, LeasedJob, NewJob, StoreError,
    row::{self, JobRow},
};

use crate::{Failure, PostgresStore, listen::CHANNEL};

#[async_trait::async_trait]
impl JobQueue for PostgresStore {
    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError> {
        self.bounded(lease::lease(&self.pool, node, kinds, length)).await
    }

    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
        self.bounded(lease::renew(&self.pool, leased, length)).await
    }

    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
        self.bounded(finish::finish(&self.pool, leased, outcome)).await
    }

    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError> {
        self.bounded(jobs_of(&self.pool, recording)).await
    }

    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError> {
        self.bounded(finish::retry(&self.pool, tenant, job)).await
    }

    async fn depth(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        self.bounded(depth(&self.pool)).await
    }

    async fn wait_for_jobs(&self, at_most: Duration) {
        // Without an answer the worker looks when its time is up.
        let next = tokio::time::timeout(at_most, lease::next_due(&self.pool)).await;
        let next = next.ok().and_then(Result::ok).flatten().unwrap_or(at_most);
        self.signal.wait(next.min(at_most)).await;
    }
}

/// Writes new jobs, and tells every node of them when the transaction is committed.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    recording: RecordingId,
    tenant: &TenantId,
    jobs: &[NewJob],
) -> Result<(), Failure> {
    for job in jobs {
        sqlx::query!(
            "INSERT INTO jobs (id, recording, tenant, kind, state, node, run_at)
             VALUES ($1, $2, $3, $4, 'QUEUED', $5, $6)",
            JobId::new().as_uuid(),
            recording.as_uuid(),
            tenant.as_str(),
            job.kind.as_str(),
            job.node.as_ref().map(NodeId::as_str),
            job.run_at,
        )
        .execute(&mut *connection)
        .await?;
    }
    if jobs.is_empty() { Ok(()) } else { announce(connection).await }
}

/// Wakes the waiting workers of every node, once the transaction is committed.
async fn announce(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).execute(connection).await?;
    Ok(())
}

async fn jobs_of(pool: &PgPool, recording: RecordingId) -> Result<Vec<Job>, Failure> {
    let rows = sqlx::query_as!(
        JobRow,
        "SELECT id, recording, tenant, kind, state, node, attempts, run_at, error
         FROM jobs WHERE recording = $1 ORDER BY created_at, id",
        recording.as_uuid(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(JobRow::read).collect::<Result<_, _>>()?)
}

async fn depth(pool: &PgPool) -> Result<Vec<(JobKind, JobState, u64)>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT kind, state, count(*) AS "jobs!" FROM jobs WHERE state <> 'DONE' GROUP BY kind, state
           ORDER BY kind, state"#
    )
    .fetch_all(pool)
    .await?;
    let read = |kind: &str, state: &str, jobs| {
        Ok((row::known(kind)?, row::known(state)?, row::unsigned(jobs, "jobs")?))
    };
    rows.iter().map(|row| read(&row.kind, &row.state, row.jobs)).collect()
}
