//! Recordings of lost nodes of which nothing was uploaded.

use std::time::Duration;

use model::{NodeId, RecordingId};
use serde_json::Value;
use sqlx::SqlitePool;
use store::{LostRecording, row};
use uuid::fmt::Hyphenated;

use crate::{Failure, begin_write, nodes::silent_since};

pub(crate) async fn lost_recordings(
    pool: &SqlitePool,
    silent_for: Duration,
) -> Result<Vec<LostRecording>, Failure> {
    let Some(since) = silent_since(silent_for) else { return Ok(Vec::new()) };
    let rows = sqlx::query!(
        r#"SELECT recordings.id AS "id: Hyphenated", recordings.node,
              recordings.state = 'PROCESSING' AS "finalized!: bool"
           FROM recordings JOIN nodes ON nodes.id = recordings.node
           WHERE recordings.state IN ('RECORDING', 'PAUSED', 'PROCESSING') AND nodes.seen_at < ?1
              AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.recording = recordings.id)
           ORDER BY recordings.id"#,
        since,
    )
    .fetch_all(pool)
    .await?;
    let read = |id: Hyphenated, node: &str, finalized| {
        Ok(LostRecording { id: id.into_uuid().into(), node: row::known(node)?, finalized })
    };
    rows.iter().map(|row| read(row.id, &row.node, row.finalized)).collect()
}

pub(crate) async fn park_lost(
    pool: &SqlitePool,
    recording: RecordingId,
    silent_for: Duration,
    error: &str,
) -> Result<bool, Failure> {
    let Some(since) = silent_since(silent_for) else { return Ok(false) };
    let (id, error) = (recording.as_uuid().hyphenated(), &*row::text(error));
    let mut transaction = begin_write(pool).await?;
    let closed = sqlx::query!(
        "UPDATE sessions SET closed_at = nodes.seen_at, end_reason = 'CRASH'
         FROM nodes WHERE sessions.id = ?1 AND closed_at IS NULL AND nodes.id = sessions.node AND nodes.seen_at < ?2",
        id,
        since,
    )
    .execute(&mut *transaction)
    .await?;
    let lost = if closed.rows_affected() > 0 { "SEAL" } else { "UPLOAD" };
    let parked = sqlx::query!(
        "UPDATE recordings
         SET state = 'PARKED', parked_from = state, parked_error = ?3, lost = COALESCE(lost, ?4),
            end_reason = COALESCE(end_reason, 'CRASH'),
            ended_at = COALESCE(ended_at, (SELECT closed_at FROM sessions WHERE sessions.id = ?1))
         FROM nodes
         WHERE recordings.id = ?1 AND state IN ('RECORDING', 'PAUSED', 'PROCESSING') AND nodes.id = recordings.node
            AND nodes.seen_at < ?2
            AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.recording = recordings.id)",
        id,
        since,
        error,
        lost,
    )
    .execute(&mut *transaction)
    .await?;
    if parked.rows_affected() == 0 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

pub(crate) async fn unpark(
    pool: &SqlitePool,
    node: &NodeId,
    live: &[RecordingId],
) -> Result<Vec<RecordingId>, Failure> {
    let node = node.as_str();
    let live = Value::from_iter(live.iter().map(ToString::to_string)).to_string();
    let mut transaction = begin_write(pool).await?;
    sqlx::query!(
        "UPDATE sessions SET closed_at = NULL, end_reason = NULL
         FROM recordings WHERE sessions.id = recordings.id AND recordings.node = ?1 AND lost = 'SEAL'
            AND state = 'PARKED' AND recordings.id IN (SELECT value FROM json_each(?2))",
        node,
        live,
    )
    .execute(&mut *transaction)
    .await?;
    let unparked = sqlx::query_scalar!(
        r#"UPDATE recordings SET state = parked_from, parked_from = NULL, parked_error = NULL, lost = NULL,
            ended_at = CASE WHEN lost = 'UPLOAD' THEN ended_at END,
            end_reason = CASE WHEN lost = 'UPLOAD' THEN end_reason END
         WHERE node = ?1 AND lost IS NOT NULL AND (lost = 'UPLOAD' OR id IN (SELECT value FROM json_each(?2)))
            AND state = 'PARKED' AND parked_from IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM jobs WHERE jobs.recording = recordings.id AND rendition IS NULL AND jobs.state = 'PARKED')
         RETURNING id AS "id!: Hyphenated""#,
        node,
        live,
    )
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(unparked.into_iter().map(|id| id.into_uuid().into()).collect())
}
