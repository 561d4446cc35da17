//! Sessions: their beginning, and their finalization in one transaction.

use model::{EndReason, NodeId, Recording, RecordingState, SessionId, TenantId};
use sqlx::{PgConnection, PgPool};
use store::{
    FinalizeOutcome, FinalizedRecording, StoreError,
    row::{self, RecordingRow, TrackRow},
};

use crate::{Failure, begin_transaction, jobs, listen::announce_recording, recordings, renditions};

const CONFLICT: StoreError = StoreError::Conflict { what: "session" };

pub(crate) async fn begin(pool: &PgPool, recording: &Recording) -> Result<(), Failure> {
    let row = RecordingRow::from(recording);
    let mut transaction = begin_transaction(pool).await?;
    let written = sqlx::query!(
        "INSERT INTO sessions (id, tenant, node, started_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
        row.id,
        row.tenant,
        row.node,
        row.started_at,
    )
    .execute(&mut *transaction)
    .await?;
    if written.rows_affected() == 0 {
        return begun_before(&mut transaction, &row).await;
    }
    write_recording(&mut transaction, &row).await?;
    announce_recording(&mut transaction, row.id).await?;
    transaction.commit().await?;
    Ok(())
}

/// A `begin` whose answer was lost may be repeated.
async fn begun_before(connection: &mut PgConnection, row: &RecordingRow) -> Result<(), Failure> {
    let same = sqlx::query_scalar!(
        r#"SELECT tenant = $2 AND node = $3 AND started_at = $4 AND closed_at IS NULL AS "same!"
           FROM sessions WHERE id = $1"#,
        row.id,
        row.tenant,
        row.node,
        row.started_at,
    )
    .fetch_one(connection)
    .await?;
    if same { Ok(()) } else { Err(CONFLICT.into()) }
}

pub(crate) async fn set_paused(
    pool: &PgPool,
    tenant: &TenantId,
    id: SessionId,
    paused: bool,
) -> Result<(), Failure> {
    let state = RecordingState::of_live(paused).as_str();
    let found = sqlx::query!(
        "UPDATE recordings SET state = CASE WHEN state IN ('RECORDING', 'PAUSED') THEN $3 ELSE state END
         WHERE id = $1 AND tenant = $2",
        id.as_uuid(),
        tenant.as_str(),
        state,
    )
    .execute(pool)
    .await?;
    if found.rows_affected() == 0 { Err(StoreError::NotFound { what: "session" }.into()) } else { Ok(()) }
}

pub(crate) async fn finalize(
    pool: &PgPool,
    finalized: &FinalizedRecording,
) -> Result<FinalizeOutcome, Failure> {
    let mut row = RecordingRow::from(&finalized.recording);
    // Without a reason the process did not see the end: it crashed.
    let end_reason = row.end_reason.get_or_insert_with(|| EndReason::Crash.to_string()).clone();
    let mut transaction = begin_transaction(pool).await?;
    // Locks, which SQLite's twin does not need: they wait for a running rescue or deletion. Otherwise the next statement
    // would see the session that the other transaction committed, but the upload and recording from before it.
    sqlx::query!("SELECT id FROM sessions WHERE id = $1 FOR UPDATE", row.id)
        .fetch_optional(&mut *transaction)
        .await?;
    recordings::lock(&mut transaction, finalized.recording.id).await?;
    let closed = sqlx::query!(
        "INSERT INTO sessions (id, tenant, node, started_at, closed_at, end_reason)
         VALUES ($1, $2, $3, $4, COALESCE($5, now()), $6)
         ON CONFLICT (id) DO UPDATE SET closed_at = excluded.closed_at, end_reason = excluded.end_reason
         WHERE sessions.tenant = excluded.tenant AND (sessions.closed_at IS NULL
            OR EXISTS (SELECT 1 FROM uploads JOIN recordings ON recordings.id = uploads.recording
                WHERE recordings.id = sessions.id AND rescue = 'SEAL' AND recordings.state <> 'DELETED')
            OR EXISTS (SELECT 1 FROM recordings
                WHERE recordings.id = sessions.id AND lost = 'SEAL' AND recordings.state <> 'DELETED'))",
        row.id,
        row.tenant,
        row.node,
        row.started_at,
        row.ended_at,
        end_reason,
    )
    .execute(&mut *transaction)
    .await?;
    if closed.rows_affected() == 0 {
        return finalized_before(&mut transaction, &row).await;
    }
    write_recording(&mut transaction, &row).await?;
    // The rescued object had the beginning of the file; the node has all of it.
    let rescued = sqlx::query!("DELETE FROM uploads WHERE recording = $1 AND rescue IS NOT NULL", row.id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!("DELETE FROM tracks WHERE recording = $1", row.id).execute(&mut *transaction).await?;
    for track in &finalized.recording.tracks {
        write_track(&mut transaction, &TrackRow::new(finalized.recording.id, track)).await?;
    }
    jobs::insert(&mut transaction, finalized.recording.id, &finalized.recording.tenant, &finalized.jobs)
        .await?;
    let Recording { id, tenant, node, .. } = &finalized.recording;
    let node = || Some(node.clone());
    if rescued.rows_affected() > 0 {
        renditions::requeue_all(&mut transaction, tenant, *id, node()).await?;
    }
    for new in &finalized.renditions {
        renditions::insert_if_absent(&mut transaction, tenant, *id, node(), new).await?;
    }
    announce_recording(&mut transaction, row.id).await?;
    transaction.commit().await?;
    Ok(FinalizeOutcome::Written)
}

async fn finalized_before(
    connection: &mut PgConnection,
    row: &RecordingRow,
) -> Result<FinalizeOutcome, Failure> {
    let ours = sqlx::query_scalar!(
        r#"SELECT tenant = $2 AS "ours!" FROM sessions WHERE id = $1"#,
        row.id,
        row.tenant
    )
    .fetch_one(connection)
    .await?;
    if ours { Ok(FinalizeOutcome::AlreadyFinalized) } else { Err(CONFLICT.into()) }
}

/// Inserts or replaces the recording's row.
async fn write_recording(connection: &mut PgConnection, row: &RecordingRow) -> Result<(), Failure> {
    sqlx::query!(
        "INSERT INTO recordings (id, tenant, name, correlation_id, channel, source, node, state, started_at, ended_at,
            end_reason, container, object_key, duration_ns, bytes, sha256, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         ON CONFLICT (id) DO UPDATE SET
            name = excluded.name, correlation_id = excluded.correlation_id, channel = excluded.channel,
            source = excluded.source, node = excluded.node, state = excluded.state,
            started_at = excluded.started_at, ended_at = excluded.ended_at, end_reason = excluded.end_reason,
            container = excluded.container, object_key = excluded.object_key, duration_ns = excluded.duration_ns,
            bytes = excluded.bytes, sha256 = excluded.sha256, error = excluded.error,
            parked_from = NULL, parked_error = NULL, lost = NULL",
        row.id,
        row.tenant,
        row.name,
        row.correlation_id,
        row.channel,
        row.source,
        row.node,
        row.state,
        row.started_at,
        row.ended_at,
        row.end_reason,
        row.container,
        row.object_key,
        row.duration_ns,
        row.bytes,
        row.sha256,
        row.error,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_track(connection: &mut PgConnection, row: &TrackRow) -> Result<(), Failure> {
    sqlx::query!(
        "INSERT INTO tracks (recording, number, mid, kind, codec, width, height, start_ns, duration_ns, frames, bytes,
            packets_lost)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        row.recording,
        row.number,
        row.mid,
        row.kind,
        row.codec,
        row.width,
        row.height,
        row.start_ns,
        row.duration_ns,
        row.frames,
        row.bytes,
        row.packets_lost,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn session(
    pool: &PgPool,
    tenant: &TenantId,
    id: SessionId,
) -> Result<(NodeId, Option<EndReason>), Failure> {
    let row = sqlx::query!(
        "SELECT node, end_reason FROM sessions WHERE id = $1 AND tenant = $2",
        id.as_uuid(),
        tenant.as_str()
    )
    .fetch_optional(pool)
    .await?
    .ok_or(StoreError::NotFound { what: "session" })?;
    Ok((row::known(&row.node)?, row.end_reason.as_deref().map(row::known).transpose()?))
}
