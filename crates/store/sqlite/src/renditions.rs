//! Renditions and their render jobs.

use chrono::{DateTime, Utc};
use model::{
    JobId, JobKind, NodeId, RecordingId, RecordingState, Rendition, RenditionId, RenditionState, TenantId,
};
use sqlx::{SqliteConnection, SqlitePool};
use store::{
    Created, NewJob, NewRendition, REQUEUED, RenderedFile, StoreError,
    row::{self, RenditionRow},
};
use uuid::fmt::Hyphenated;

use crate::{Failure, begin_write, jobs};

/// A query of renditions: the literal of its conditions, then its arguments.
macro_rules! renditions {
    ($conditions:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            RenditionRow,
            r#"SELECT id AS "id: Hyphenated", recording AS "recording: Hyphenated", tenant, kind, parameters, state,
                job AS "job: Hyphenated", object_key, content_type, bytes, duration_ns, width, height, sha256, error,
                created_at AS "created_at: DateTime<Utc>", ready_at AS "ready_at: DateTime<Utc>"
             FROM renditions "# + $conditions,
            $($argument),+
        )
    };
}

pub(crate) async fn create_rendition(
    pool: &SqlitePool,
    tenant: &TenantId,
    recording: RecordingId,
    new: &NewRendition,
) -> Result<Created, Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, tenant_name) = (recording.as_uuid().hyphenated(), tenant.as_str());
    let found = sqlx::query!(
        r#"SELECT COALESCE(parked_from, state) AS "state!: String", container, node FROM recordings
           WHERE id = ?1 AND tenant = ?2"#,
        id,
        tenant_name,
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
    let parameters = &*row::text(&new.parameters);
    let rendition = renditions!("WHERE recording = ?1 AND parameters = ?2", id, parameters)
        .fetch_one(&mut *transaction)
        .await?
        .read()?;
    transaction.commit().await?;
    Ok(Created { rendition, job })
}

/// Inserts a default rendition and its job. An existing rendition is not changed, also if it was cancelled or deleted.
pub(crate) async fn insert_if_absent(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    recording: RecordingId,
    node: Option<NodeId>,
    new: &NewRendition,
) -> Result<(), Failure> {
    let (id, parameters) = (recording.as_uuid().hyphenated(), &*row::text(&new.parameters));
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM renditions WHERE recording = ?1 AND parameters = ?2) AS "known!: bool""#,
        id,
        parameters,
    )
    .fetch_one(&mut *connection)
    .await?;
    if known { Ok(()) } else { insert(connection, tenant, recording, node, new).await.map(drop) }
}

/// The recording's file was replaced: requeues all its renditions, except cancelled and deleted ones. Returns the
/// unfinished render jobs that it cancelled.
pub(crate) async fn requeue_all(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    recording: RecordingId,
    node: Option<NodeId>,
) -> Result<Vec<JobId>, Failure> {
    let (text, now) = (recording.as_uuid().hyphenated(), Utc::now());
    let cancelled = sqlx::query_scalar!(
        r#"UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, error = ?2, ended_at = ?3
           WHERE recording = ?1 AND kind = 'RENDER' AND state NOT IN ('DONE', 'CANCELLED')
           RETURNING id AS "id!: Hyphenated""#,
        text,
        REQUEUED,
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    let stale = sqlx::query_scalar!(
        r#"SELECT id AS "id!: Hyphenated" FROM renditions
           WHERE recording = ?1 AND state NOT IN ('CANCELLED', 'DELETED')"#,
        text,
    )
    .fetch_all(&mut *connection)
    .await?;
    for id in stale {
        let job = JobId::new();
        let job_text = job.as_uuid().hyphenated();
        sqlx::query!(
            "UPDATE renditions SET state = 'QUEUED', job = ?2, bytes = 0, duration_ns = 0, width = 0, height = 0,
                sha256 = NULL, error = NULL, ready_at = NULL
             WHERE id = ?1",
            id,
            job_text,
        )
        .execute(&mut *connection)
        .await?;
        let render = NewJob { kind: JobKind::Render, node: node.clone(), run_at: now };
        let id = Some(RenditionId::from(id.into_uuid()));
        jobs::insert_one(connection, job, recording, tenant, id, &render).await?;
    }
    Ok(cancelled.into_iter().map(|job| job.into_uuid().into()).collect())
}

/// Inserts a rendition and its job, or requeues a cancelled or deleted one. None if it exists in any other state.
async fn insert(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    recording: RecordingId,
    node: Option<NodeId>,
    new: &NewRendition,
) -> Result<Option<JobId>, Failure> {
    let job = JobId::new();
    let (id, job_text) = (RenditionId::new().as_uuid().hyphenated(), job.as_uuid().hyphenated());
    let (recording_text, tenant_name) = (recording.as_uuid().hyphenated(), tenant.as_str());
    let (parameters, now) = (&*row::text(&new.parameters), Utc::now());
    let written = sqlx::query_scalar!(
        r#"INSERT INTO renditions
            (id, recording, tenant, kind, parameters, state, job, object_key, content_type, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'QUEUED', ?6, ?7, ?8, ?9)
         ON CONFLICT (recording, parameters) DO UPDATE SET
            state = 'QUEUED', job = excluded.job, object_key = excluded.object_key,
            content_type = excluded.content_type, bytes = 0, duration_ns = 0, width = 0, height = 0, sha256 = NULL,
            error = NULL, ready_at = NULL
         WHERE renditions.state IN ('CANCELLED', 'DELETED')
         RETURNING id AS "id!: Hyphenated""#,
        id,
        recording_text,
        tenant_name,
        new.kind,
        parameters,
        job_text,
        new.object_key,
        new.content_type,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(id) = written.map(|id| RenditionId::from(id.into_uuid())) else { return Ok(None) };
    cancel_removal(connection, recording, id).await?;
    let render = NewJob { kind: JobKind::Render, node, run_at: now };
    jobs::insert_one(connection, job, recording, tenant, Some(id), &render).await?;
    Ok(Some(job))
}

/// Cancels a DELETE job that waits to remove the file of a rendition that is requeued. If the DELETE job is running, the
/// render job waits for its end.
pub(crate) async fn cancel_removal(
    connection: &mut SqliteConnection,
    recording: RecordingId,
    id: RenditionId,
) -> Result<(), Failure> {
    let (recording, id, now) = (recording.as_uuid().hyphenated(), id.as_uuid().hyphenated(), Utc::now());
    sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', ended_at = ?3
         WHERE recording = ?1 AND rendition = ?2 AND kind = 'DELETE'
            AND state NOT IN ('DONE', 'CANCELLED', 'IN_PROGRESS')",
        recording,
        id,
        now,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Sets the state, except of a DELETED rendition.
pub(crate) async fn set_state(
    connection: &mut SqliteConnection,
    id: RenditionId,
    state: RenditionState,
    error: Option<&str>,
) -> Result<(), Failure> {
    let (id, state) = (id.as_uuid().hyphenated(), state.as_str());
    sqlx::query!(
        "UPDATE renditions SET state = ?2, error = ?3 WHERE id = ?1 AND state <> 'DELETED'",
        id,
        state,
        error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn rendered(
    connection: &mut SqliteConnection,
    id: RenditionId,
    file: &RenderedFile,
) -> Result<(), Failure> {
    let (id, now) = (id.as_uuid().hyphenated(), Utc::now());
    let (bytes, duration) = (row::count(file.bytes), row::nanoseconds(file.duration));
    sqlx::query!(
        "UPDATE renditions SET state = 'AVAILABLE', bytes = ?2, duration_ns = ?3, width = ?4, height = ?5, sha256 = ?6,
            error = NULL, ready_at = ?7
         WHERE id = ?1 AND state <> 'DELETED'",
        id,
        bytes,
        duration,
        file.width,
        file.height,
        file.sha256,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn rendition(
    pool: &SqlitePool,
    tenant: &TenantId,
    id: RenditionId,
) -> Result<Rendition, Failure> {
    let (id, tenant) = (id.as_uuid().hyphenated(), tenant.as_str());
    let row = renditions!("WHERE id = ?1 AND tenant = ?2", id, tenant)
        .fetch_optional(pool)
        .await?
        .ok_or(StoreError::NotFound { what: "rendition" })?;
    Ok(row.read()?)
}

pub(crate) async fn renditions_of(
    pool: &SqlitePool,
    tenant: &TenantId,
    recording: RecordingId,
) -> Result<Vec<Rendition>, Failure> {
    let (recording, tenant) = (recording.as_uuid().hyphenated(), tenant.as_str());
    let rows = renditions!("WHERE recording = ?1 AND tenant = ?2 ORDER BY created_at, id", recording, tenant)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(RenditionRow::read).collect::<Result<_, _>>()?)
}
