//! Deletion of recordings and renditions, and the audit.

use chrono::{DateTime, Utc};
use model::{JobId, JobKind, NodeId, Recording, RecordingId, RecordingState, RenditionId, TenantId};
use serde_json::Value;
use sqlx::{SqliteConnection, SqlitePool};
use store::{AuditEntry, Deletion, Expired, Expiry, NewJob, StoreError, row};
use uuid::{Uuid, fmt::Hyphenated};

use crate::{Failure, begin_write, jobs};

pub(crate) async fn delete_recording(
    pool: &SqlitePool,
    tenant: &TenantId,
    recording: RecordingId,
    actor: &str,
) -> Result<(Deletion, Vec<JobId>), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, tenant_name) = (recording.as_uuid().hyphenated(), tenant.as_str());
    let found =
        sqlx::query!("SELECT state, node FROM recordings WHERE id = ?1 AND tenant = ?2", id, tenant_name)
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or(StoreError::NotFound { what: "recording" })?;
    let state: RecordingState = row::known(&found.state)?;
    match state {
        RecordingState::Deleted => return Ok((Deletion::AlreadyDeleted, Vec::new())),
        RecordingState::Recording | RecordingState::Paused => {
            return Err(StoreError::WrongState { what: "recording", state: state.as_str() }.into());
        }
        RecordingState::Processing | RecordingState::Available | RecordingState::Parked => {}
    }
    let now = Utc::now();
    // A running upload or clean-up sees the recording's state when it is done. All waiting jobs are cancelled.
    let cancelled = sqlx::query_scalar!(
        r#"UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, ended_at = ?2
         WHERE recording = ?1 AND kind <> 'DELETE' AND state NOT IN ('DONE', 'CANCELLED')
            AND (kind = 'RENDER' OR state <> 'IN_PROGRESS')
         RETURNING id AS "id!: Hyphenated""#,
        id,
        now,
    )
    .fetch_all(&mut *transaction)
    .await?;
    sqlx::query!(
        "UPDATE recordings SET state = 'DELETED', parked_from = NULL, parked_error = NULL WHERE id = ?1",
        id
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!("UPDATE renditions SET state = 'DELETED' WHERE recording = ?1", id)
        .execute(&mut *transaction)
        .await?;
    let mut removals = vec![NewJob { kind: JobKind::Delete, node: None, run_at: now }];
    if !is_cleaned_up(&mut transaction, id).await? {
        let node = Some(row::known::<NodeId>(&found.node)?);
        removals.push(NewJob { kind: JobKind::Delete, node, run_at: now });
    }
    jobs::insert(&mut transaction, recording, tenant, &removals).await?;
    write_audit(&mut transaction, tenant, actor, "DELETE_RECORDING", id, None).await?;
    transaction.commit().await?;
    let cancelled = cancelled.into_iter().map(|id| id.into_uuid().into()).collect();
    Ok((Deletion::Deleted { jobs: removals.len() as u64 }, cancelled))
}

/// Whether the local file was removed after the object was verified.
async fn is_cleaned_up(
    connection: &mut SqliteConnection,
    recording: Hyphenated,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
            SELECT 1 FROM jobs WHERE recording = ?1 AND kind = 'CLEAN_UP' AND state = 'DONE'
        ) AS "gone!: bool""#,
        recording
    )
    .fetch_one(connection)
    .await
}

/// Also returns the recording and the rendition's render job.
///
/// The state that was read holds until the commit. The Postgres twin checks it in the UPDATE, after the job, which it has
/// to lock first.
pub(crate) async fn delete_rendition(
    pool: &SqlitePool,
    tenant: &TenantId,
    rendition: RenditionId,
    actor: &str,
) -> Result<(Deletion, RecordingId, JobId), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, tenant_name) = (rendition.as_uuid().hyphenated(), tenant.as_str());
    let found = sqlx::query!(
        r#"SELECT recording AS "recording: Hyphenated", state, job AS "job: Hyphenated"
           FROM renditions WHERE id = ?1 AND tenant = ?2"#,
        id,
        tenant_name,
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "rendition" })?;
    let recording = RecordingId::from(found.recording.into_uuid());
    let job = JobId::from(found.job.into_uuid());
    if found.state == "DELETED" {
        return Ok((Deletion::AlreadyDeleted, recording, job));
    }
    let now = Utc::now();
    sqlx::query!("UPDATE renditions SET state = 'DELETED' WHERE id = ?1", id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, ended_at = ?2
         WHERE id = ?1 AND state NOT IN ('DONE', 'CANCELLED')",
        found.job,
        now,
    )
    .execute(&mut *transaction)
    .await?;
    let removal = NewJob { kind: JobKind::Delete, node: None, run_at: now };
    jobs::insert_one(&mut transaction, JobId::new(), recording, tenant, Some(rendition), &removal).await?;
    write_audit(&mut transaction, tenant, actor, "DELETE_RENDITION", found.recording, Some(id)).await?;
    transaction.commit().await?;
    Ok((Deletion::Deleted { jobs: 1 }, recording, job))
}

async fn write_audit(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    actor: &str,
    action: &str,
    recording: Hyphenated,
    rendition: Option<Hyphenated>,
) -> Result<(), Failure> {
    let (id, now) = (Uuid::now_v7().hyphenated(), Utc::now());
    let (tenant, actor) = (tenant.as_str(), &*row::text(actor));
    sqlx::query!(
        "INSERT INTO audit (id, at, tenant, actor, action, recording, rendition) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        id,
        now,
        tenant,
        actor,
        action,
        recording,
        rendition,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn audit_of(
    pool: &SqlitePool,
    tenant: &TenantId,
    recording: RecordingId,
) -> Result<Vec<AuditEntry>, Failure> {
    let (tenant, recording) = (tenant.as_str(), recording.as_uuid().hyphenated());
    let rows = sqlx::query!(
        r#"SELECT at AS "at: DateTime<Utc>", actor, action, recording AS "recording: Hyphenated",
            rendition AS "rendition: Hyphenated"
           FROM audit WHERE tenant = ?1 AND recording = ?2 ORDER BY at, id"#,
        tenant,
        recording,
    )
    .fetch_all(pool)
    .await?;
    let read = rows.into_iter().map(|row| AuditEntry {
        at: row.at,
        actor: row.actor,
        action: row.action,
        recording: row.recording.into_uuid().into(),
        rendition: row.rendition.map(|id| id.into_uuid().into()),
    });
    Ok(read.collect())
}

pub(crate) async fn expired(pool: &SqlitePool, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, Failure> {
    let tenant = expiry.tenant.as_ref().map(TenantId::as_str);
    let except = Value::from_iter(expiry.except.iter().map(TenantId::as_str)).to_string();
    let before = expiry.before;
    let Some(kind) = &expiry.rendition else {
        let rows = sqlx::query!(
            r#"SELECT id AS "id!: Hyphenated", tenant AS "tenant!" FROM (
                SELECT id, tenant, ended_at FROM recordings WHERE state = 'AVAILABLE' AND ended_at < ?1
                UNION ALL
                SELECT id, tenant, ended_at FROM recordings
                WHERE state = 'PARKED' AND container IS NULL AND error = ?5 AND ended_at < ?1
             )
             WHERE (?2 IS NULL OR tenant = ?2) AND tenant NOT IN (SELECT value FROM json_each(?3))
             ORDER BY ended_at LIMIT ?4"#,
            before,
            tenant,
            except,
            limit,
            Recording::NO_MEDIA,
        )
        .fetch_all(pool)
        .await?;
        let read = |tenant: &str, id: Hyphenated| {
            let recording = id.into_uuid().into();
            Ok(Expired { tenant: row::known(tenant)?, recording, rendition: None })
        };
        return rows.iter().map(|row| read(&row.tenant, row.id)).collect();
    };
    let rows = sqlx::query!(
        r#"SELECT id AS "id: Hyphenated", recording AS "recording: Hyphenated", tenant FROM renditions
         WHERE state = 'AVAILABLE' AND kind = ?5 AND ready_at < ?1 AND (?2 IS NULL OR tenant = ?2)
            AND tenant NOT IN (SELECT value FROM json_each(?3))
         ORDER BY ready_at LIMIT ?4"#,
        before,
        tenant,
        except,
        limit,
        kind,
    )
    .fetch_all(pool)
    .await?;
    let read = |tenant: &str, recording: Hyphenated, id: Hyphenated| {
        let (recording, rendition) = (recording.into_uuid().into(), Some(id.into_uuid().into()));
        Ok(Expired { tenant: row::known(tenant)?, recording, rendition })
    };
    rows.iter().map(|row| read(&row.tenant, row.recording, row.id)).collect()
}
