//! Recordings of lost nodes of which nothing was uploaded.

use std::time::Duration;

use model::{NodeId, RecordingId};
use sqlx::PgPool;
use store::{LostRecording, row};
use uuid::Uuid;

use crate::{
    Failure, begin_transaction,
    listen::{announce_jobs, announce_recording},
    nodes::silence_seconds,
};

pub(crate) async fn lost_recordings(
    pool: &PgPool,
    silent_for: Duration,
) -> Result<Vec<LostRecording>, Failure> {
    let rows = sqlx::query!(
        r#"SELECT recordings.id, recordings.node, recordings.state = 'PROCESSING' AS "finalized!"
           FROM recordings JOIN nodes ON nodes.id = recordings.node
           WHERE recordings.state IN ('RECORDING', 'PAUSED', 'PROCESSING')
              AND nodes.seen_at < now() - make_interval(secs => $1)
              AND NOT EXISTS (SELECT FROM uploads WHERE uploads.recording = recordings.id)
           ORDER BY recordings.id"#,
        silence_seconds(silent_for),
    )
    .fetch_all(pool)
    .await?;
    let read = |id: Uuid, node: &str, finalized| {
        Ok(LostRecording { id: id.into(), node: row::known(node)?, finalized })
    };
    rows.iter().map(|row| read(row.id, &row.node, row.finalized)).collect()
}

pub(crate) async fn park_lost(
    pool: &PgPool,
    recording: RecordingId,
    silent_for: Duration,
    error: &str,
) -> Result<bool, Failure> {
    let (id, seconds, error) = (recording.as_uuid(), silence_seconds(silent_for), &*row::text(error));
    let mut transaction = begin_transaction(pool).await?;
    // Locks in the common order: sessions before recordings.
    let closed = sqlx::query!(
        "UPDATE sessions SET closed_at = nodes.seen_at, end_reason = 'CRASH'
         FROM nodes WHERE sessions.id = $1 AND closed_at IS NULL AND nodes.id = sessions.node
            AND nodes.seen_at < now() - make_interval(secs => $2)",
        id,
        seconds,
    )
    .execute(&mut *transaction)
    .await?;
    let lost = if closed.rows_affected() > 0 { "SEAL" } else { "UPLOAD" };
    let parked = sqlx::query!(
        "UPDATE recordings
         SET state = 'PARKED', parked_from = state, parked_error = $3, lost = COALESCE(lost, $4),
            end_reason = COALESCE(end_reason, 'CRASH'),
            ended_at = COALESCE(ended_at, (SELECT closed_at FROM sessions WHERE sessions.id = $1))
         FROM nodes
         WHERE recordings.id = $1 AND state IN ('RECORDING', 'PAUSED', 'PROCESSING') AND nodes.id = recordings.node
            AND nodes.seen_at < now() - make_interval(secs => $2)
            AND NOT EXISTS (SELECT FROM uploads WHERE uploads.recording = recordings.id)",
        id,
        seconds,
        error,
        lost,
    )
    .execute(&mut *transaction)
    .await?;
    if parked.rows_affected() == 0 {
        return Ok(false);
    }
    announce_recording(&mut transaction, recording).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(crate) async fn unpark(
    pool: &PgPool,
    node: &NodeId,
    live: &[RecordingId],
) -> Result<Vec<RecordingId>, Failure> {
    let live: Vec<Uuid> = live.iter().map(|id| id.as_uuid()).collect();
    let mut transaction = begin_transaction(pool).await?;
    sqlx::query!(
        "UPDATE sessions SET closed_at = NULL, end_reason = NULL
         FROM recordings WHERE sessions.id = recordings.id AND recordings.node = $1 AND lost = 'SEAL'
            AND state = 'PARKED' AND recordings.id = ANY($2)",
        node.as_str(),
        &live,
    )
    .execute(&mut *transaction)
    .await?;
    let unparked = sqlx::query_scalar!(
        "UPDATE recordings SET state = parked_from, parked_from = NULL, parked_error = NULL, lost = NULL,
            ended_at = CASE WHEN lost = 'UPLOAD' THEN ended_at END,
            end_reason = CASE WHEN lost = 'UPLOAD' THEN end_reason END
         WHERE node = $1 AND lost IS NOT NULL AND (lost = 'UPLOAD' OR id = ANY($2))
            AND state = 'PARKED' AND parked_from IS NOT NULL AND NOT EXISTS (
                SELECT FROM jobs WHERE jobs.recording = recordings.id AND rendition IS NULL AND jobs.state = 'PARKED')
         RETURNING id",
        node.as_str(),
        &live,
    )
    .fetch_all(&mut *transaction)
    .await?;
    for id in &unparked {
        announce_recording(&mut transaction, *id).await?;
    }
    if !unparked.is_empty() {
        announce_jobs(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(unparked.into_iter().map(Into::into).collect())
}
