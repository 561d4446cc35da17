//! Deletion of recordings and renditions, and the audit.

use chrono::Utc;
use model::{JobId, JobKind, NodeId, Recording, RecordingId, RecordingState, RenditionId, TenantId};
use sqlx::{PgConnection, PgPool};
use store::{AuditEntry, Change, Deletion, Expired, Expiry, NewJob, StoreError, row};
use uuid::Uuid;

use crate::{
    Failure, begin_transaction, jobs,
    listen::{announce, announce_jobs, announce_recording},
};

pub(crate) async fn delete_recording(
    pool: &PgPool,
    tenant: &TenantId,
    id: RecordingId,
    actor: &str,
) -> Result<Deletion, Failure> {
    let mut transaction = begin_transaction(pool).await?;
    let found = sqlx::query!(
        "SELECT state, node FROM recordings WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE",
        id.as_uuid(),
        tenant.as_str(),
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "recording" })?;
    let state: RecordingState = row::known(&found.state)?;
    match state {
        RecordingState::Deleted => return Ok(Deletion::AlreadyDeleted),
        RecordingState::Recording | RecordingState::Paused => {
            return Err(StoreError::WrongState { what: "recording", state: state.as_str() }.into());
        }
        RecordingState::Processing | RecordingState::Available | RecordingState::Parked => {}
    }
    // A running upload or clean-up sees the recording's state when it is done. All waiting jobs are cancelled.
    let cancelled = sqlx::query_scalar!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, ended_at = now()
         WHERE recording = $1 AND kind <> 'DELETE' AND state NOT IN ('DONE', 'CANCELLED')
            AND (kind = 'RENDER' OR state <> 'IN_PROGRESS')
         RETURNING id",
        id.as_uuid()
    )
    .fetch_all(&mut *transaction)
    .await?;
    sqlx::query!(
        "UPDATE recordings SET state = 'DELETED', parked_from = NULL, parked_error = NULL WHERE id = $1",
        id.as_uuid()
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!("UPDATE renditions SET state = 'DELETED' WHERE recording = $1", id.as_uuid())
        .execute(&mut *transaction)
        .await?;
    for job in cancelled {
        announce(&mut transaction, Change::Cancelled(job.into())).await?;
    }
    let mut removals = vec![NewJob { kind: JobKind::Delete, node: None, run_at: Utc::now() }];
    if !is_cleaned_up(&mut transaction, id).await? {
        let node = Some(row::known::<NodeId>(&found.node)?);
        removals.push(NewJob { kind: JobKind::Delete, node, run_at: Utc::now() });
    }
    jobs::insert(&mut transaction, id, tenant, &removals).await?;
    write_audit(&mut transaction, tenant, actor, "DELETE_RECORDING", id, None).await?;
    announce_recording(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(Deletion::Deleted { jobs: removals.len() as u64 })
}

/// Whether the local file was removed after the object was verified.
async fn is_cleaned_up(connection: &mut PgConnection, id: RecordingId) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
            SELECT FROM jobs WHERE recording = $1 AND kind = 'CLEAN_UP' AND state = 'DONE'
        ) AS "gone!""#,
        id.as_uuid()
    )
    .fetch_one(connection)
    .await?)
}

/// Jobs are locked before renditions, as everywhere. So the state is checked in the UPDATE; SQLite's twin reads it first.
pub(crate) async fn delete_rendition(
    pool: &PgPool,
    tenant: &TenantId,
    id: RenditionId,
    actor: &str,
) -> Result<Deletion, Failure> {
    let mut transaction = begin_transaction(pool).await?;
    let found = sqlx::query!(
        "SELECT recording, job FROM renditions WHERE id = $1 AND tenant = $2",
        id.as_uuid(),
        tenant.as_str(),
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "rendition" })?;
    let recording = RecordingId::from(found.recording);
    let cancelled = sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, ended_at = now()
         WHERE id = $1 AND state NOT IN ('DONE', 'CANCELLED')",
        found.job
    )
    .execute(&mut *transaction)
    .await?;
    let deleted = sqlx::query!(
        "UPDATE renditions SET state = 'DELETED' WHERE id = $1 AND state <> 'DELETED'",
        id.as_uuid()
    )
    .execute(&mut *transaction)
    .await?;
    if deleted.rows_affected() == 0 {
        return Ok(Deletion::AlreadyDeleted);
    }
    if cancelled.rows_affected() > 0 {
        announce(&mut transaction, Change::Cancelled(found.job.into())).await?;
    }
    let removal = NewJob { kind: JobKind::Delete, node: None, run_at: Utc::now() };
    jobs::insert_one(&mut transaction, JobId::new(), recording, tenant, Some(id), &removal).await?;
    announce_jobs(&mut transaction).await?;
    write_audit(&mut transaction, tenant, actor, "DELETE_RENDITION", recording, Some(id)).await?;
    announce_recording(&mut transaction, recording).await?;
    transaction.commit().await?;
    Ok(Deletion::Deleted { jobs: 1 })
}

async fn write_audit(
    connection: &mut PgConnection,
    tenant: &TenantId,
    actor: &str,
    action: &str,
    recording: RecordingId,
    rendition: Option<RenditionId>,
) -> Result<(), Failure> {
    sqlx::query!(
        "INSERT INTO audit (id, tenant, actor, action, recording, rendition) VALUES ($1, $2, $3, $4, $5, $6)",
        Uuid::now_v7(),
        tenant.as_str(),
        &*row::text(actor),
        action,
        recording.as_uuid(),
        rendition.map(RenditionId::as_uuid),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn audit_of(
    pool: &PgPool,
    tenant: &TenantId,
    recording: RecordingId,
) -> Result<Vec<AuditEntry>, Failure> {
    let rows = sqlx::query!(
        "SELECT at, actor, action, recording, rendition FROM audit WHERE tenant = $1 AND recording = $2
         ORDER BY at, id",
        tenant.as_str(),
        recording.as_uuid(),
    )
    .fetch_all(pool)
    .await?;
    let read = rows.into_iter().map(|row| AuditEntry {
        at: row.at,
        actor: row.actor,
        action: row.action,
        recording: row.recording.into(),
        rendition: row.rendition.map(Into::into),
    });
    Ok(read.collect())
}

pub(crate) async fn expired(pool: &PgPool, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, Failure> {
    let tenant = expiry.tenant.as_ref().map(TenantId::as_str);
    let except: Vec<String> = expiry.except.iter().map(ToString::to_string).collect();
    let Some(kind) = &expiry.rendition else {
        let rows = sqlx::query!(
            r#"SELECT id AS "id!", tenant AS "tenant!" FROM (
                SELECT id, tenant, ended_at FROM recordings WHERE state = 'AVAILABLE' AND ended_at < $1
                UNION ALL
                SELECT id, tenant, ended_at FROM recordings
                WHERE state = 'PARKED' AND container IS NULL AND error = $5 AND ended_at < $1
             ) AS expired
             WHERE ($2::text IS NULL OR tenant = $2) AND tenant <> ALL($3)
             ORDER BY ended_at LIMIT $4"#,
            expiry.before,
            tenant,
            &except,
            i64::from(limit),
            Recording::NO_MEDIA,
        )
        .fetch_all(pool)
        .await?;
        let read = |tenant: &str, id: Uuid| {
            Ok(Expired { tenant: row::known(tenant)?, recording: id.into(), rendition: None })
        };
        return rows.iter().map(|row| read(&row.tenant, row.id)).collect();
    };
    let rows = sqlx::query!(
        "SELECT id, recording, tenant FROM renditions
         WHERE state = 'AVAILABLE' AND kind = $5 AND ready_at < $1 AND ($2::text IS NULL OR tenant = $2)
            AND tenant <> ALL($3)
         ORDER BY ready_at LIMIT $4",
        expiry.before,
        tenant,
        &except,
        i64::from(limit),
        kind,
    )
    .fetch_all(pool)
    .await?;
    let read = |tenant: &str, recording: Uuid, id: Uuid| {
        Ok(Expired { tenant: row::known(tenant)?, recording: recording.into(), rendition: Some(id.into()) })
    };
    rows.iter().map(|row| read(&row.tenant, row.recording, row.id)).collect()
}
