//! Renditions and their render jobs.

use chrono::Utc;
use model::{
    JobId, JobKind, NodeId, RecordingId, RecordingState, Rendition, RenditionId, RenditionState, TenantId,
};
use sqlx::{PgConnection, PgPool};
use store::{
    Change, Created, NewJob, NewRendition, REQUEUED, RenderedFile, StoreError,
    row::{self, RenditionRow},
};

use crate::{
    Failure, begin_transaction, jobs,
    listen::{announce, announce_jobs, announce_recording},
};

/// A query of renditions: the literal of its conditions, then its arguments.
macro_rules! renditions {
    ($conditions:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            RenditionRow,
            "SELECT id, recording, tenant, kind, parameters, state, job, object_key, content_type, bytes, duration_ns,
                width, height, sha256, error, created_at, ready_at
             FROM renditions " + $conditions,
            $($argument),+
        )
    };
}

pub(crate) async fn create_rendition(
    pool: &PgPool,
    tenant: &TenantId,
    recording: RecordingId,
    new: &NewRendition,
) -> Result<Created, Failure> {
    let mut transaction = begin_transaction(pool).await?;
    // FOR NO KEY UPDATE waits for an upload that ends and a deletion that begins. SQLite's twin is alone.
    let found = sqlx::query!(
        "SELECT COALESCE(parked_from, state) AS \"state!\", container, node FROM recordings
         WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE",
        recording.as_uuid(),
        tenant.as_str(),
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "recording" })?;
    let state: RecordingState = row::known(&found.state)?;
    let node = match state {
        RecordingState::Recording | RecordingState::Paused | RecordingState::Deleted => {
            return Err(StoreError::WrongState { what: "recording", state: state.as_str() }.into());
        }
        _ if found.container.is_none() => {
            return Err(StoreError::WrongState { what: "recording", state: "without media" }.into());
        }
        RecordingState::Available => None,
        RecordingState::Processing | RecordingState::Parked => Some(row::known::<NodeId>(&found.node)?),
    };
    let job = insert(&mut transaction, tenant, recording, node, new).await?;
    let rendition = renditions!(
        "WHERE recording = $1 AND parameters = $2",
        recording.as_uuid(),
        &*row::text(&new.parameters)
    )
    .fetch_one(&mut *transaction)
    .await?
    .read()?;
    if job.is_some() {
        announce_recording(&mut transaction, recording).await?;
        announce_jobs(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(Created { rendition, job })
}

/// Inserts a default rendition and its job. An existing rendition is not changed, also if it was cancelled or deleted.
pub(crate) async fn insert_if_absent(
    connection: &mut PgConnection,
    tenant: &TenantId,
    recording: RecordingId,
    node: Option<NodeId>,
    new: &NewRendition,
) -> Result<(), Failure> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM renditions WHERE recording = $1 AND parameters = $2) AS "known!""#,
        recording.as_uuid(),
        &*row::text(&new.parameters),
    )
    .fetch_one(&mut *connection)
    .await?;
    if known {
        return Ok(());
    }
    insert(connection, tenant, recording, node, new).await?;
    announce_jobs(connection).await
}

/// The recording's file was replaced: requeues all its renditions, except cancelled and deleted ones. Unfinished render
/// jobs are cancelled and announced.
pub(crate) async fn requeue_all(
    connection: &mut PgConnection,
    tenant: &TenantId,
    recording: RecordingId,
    node: Option<NodeId>,
) -> Result<(), Failure> {
    let cancelled = sqlx::query_scalar!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, error = $2, ended_at = now()
         WHERE recording = $1 AND kind = 'RENDER' AND state NOT IN ('DONE', 'CANCELLED')
         RETURNING id",
        recording.as_uuid(),
        REQUEUED,
    )
    .fetch_all(&mut *connection)
    .await?;
    for job in cancelled {
        announce(connection, Change::Cancelled(job.into())).await?;
    }
    let stale = sqlx::query_scalar!(
        "SELECT id FROM renditions WHERE recording = $1 AND state NOT IN ('CANCELLED', 'DELETED')",
        recording.as_uuid(),
    )
    .fetch_all(&mut *connection)
    .await?;
    for id in stale {
        let job = JobId::new();
        sqlx::query!(
            "UPDATE renditions SET state = 'QUEUED', job = $2, bytes = 0, duration_ns = 0, width = 0, height = 0,
                sha256 = NULL, error = NULL, ready_at = NULL
             WHERE id = $1",
            id,
            job.as_uuid(),
        )
        .execute(&mut *connection)
        .await?;
        let render = NewJob { kind: JobKind::Render, node: node.clone(), run_at: Utc::now() };
        jobs::insert_one(connection, job, recording, tenant, Some(id.into()), &render).await?;
    }
    announce_jobs(connection).await
}

/// Inserts a rendition and its job, or requeues a cancelled or deleted one. None if it exists in any other state.
async fn insert(
    connection: &mut PgConnection,
    tenant: &TenantId,
    recording: RecordingId,
    node: Option<NodeId>,
    new: &NewRendition,
) -> Result<Option<JobId>, Failure> {
    let job = JobId::new();
    let written = sqlx::query_scalar!(
        "INSERT INTO renditions (id, recording, tenant, kind, parameters, state, job, object_key, content_type)
         VALUES ($1, $2, $3, $4, $5, 'QUEUED', $6, $7, $8)
         ON CONFLICT (recording, parameters) DO UPDATE SET
            state = 'QUEUED', job = excluded.job, object_key = excluded.object_key,
            content_type = excluded.content_type, bytes = 0, duration_ns = 0, width = 0, height = 0, sha256 = NULL,
            error = NULL, ready_at = NULL
         WHERE renditions.state IN ('CANCELLED', 'DELETED')
         RETURNING id",
        RenditionId::new().as_uuid(),
        recording.as_uuid(),
        tenant.as_str(),
        new.kind,
        &*row::text(&new.parameters),
        job.as_uuid(),
        new.object_key,
        new.content_type,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(id) = written.map(RenditionId::from) else { return Ok(None) };
    cancel_removal(connection, recording, id).await?;
    let render = NewJob { kind: JobKind::Render, node, run_at: Utc::now() };
    jobs::insert_one(connection, job, recording, tenant, Some(id), &render).await?;
    Ok(Some(job))
}

/// Cancels a DELETE job that waits to remove the file of a rendition that is requeued. If the DELETE job is running, the
/// render job waits for its end.
pub(crate) async fn cancel_removal(
    connection: &mut PgConnection,
    recording: RecordingId,
    id: RenditionId,
) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', ended_at = now()
         WHERE recording = $1 AND rendition = $2 AND kind = 'DELETE'
            AND state NOT IN ('DONE', 'CANCELLED', 'IN_PROGRESS')",
        recording.as_uuid(),
        id.as_uuid(),
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Sets the state, except of a DELETED rendition.
pub(crate) async fn set_state(
    connection: &mut PgConnection,
    id: RenditionId,
    state: RenditionState,
    error: Option<&str>,
) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE renditions SET state = $2, error = $3 WHERE id = $1 AND state <> 'DELETED'",
        id.as_uuid(),
        state.as_str(),
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn rendered(
    connection: &mut PgConnection,
    id: RenditionId,
    file: &RenderedFile,
) -> Result<(), Failure> {
    sqlx::query!(
        "UPDATE renditions SET state = 'AVAILABLE', bytes = $2, duration_ns = $3, width = $4, height = $5, sha256 = $6,
            error = NULL, ready_at = now()
         WHERE id = $1 AND state <> 'DELETED'",
        id.as_uuid(),
        row::count(file.bytes),
        row::nanoseconds(file.duration),
        i64::from(file.width),
        i64::from(file.height),
        file.sha256,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn rendition(
    pool: &PgPool,
    tenant: &TenantId,
    id: RenditionId,
) -> Result<Rendition, Failure> {
    let row = renditions!("WHERE id = $1 AND tenant = $2", id.as_uuid(), tenant.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or(StoreError::NotFound { what: "rendition" })?;
    Ok(row.read()?)
}

pub(crate) async fn renditions_of(
    pool: &PgPool,
    tenant: &TenantId,
    recording: RecordingId,
) -> Result<Vec<Rendition>, Failure> {
    let rows = renditions!(
        "WHERE recording = $1 AND tenant = $2 ORDER BY created_at, id",
        recording.as_uuid(),
        tenant.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(RenditionRow::read).collect::<Result<_, _>>()?)
}
