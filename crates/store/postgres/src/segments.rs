//! Segments of renditions that are rendered while their recordings are open.

use chrono::{DateTime, Utc};
use model::{RecordingId, Segment, TenantId};
use sqlx::PgPool;
use store::{
    StoreError,
    row::{self, SegmentRow},
};

use crate::Failure;

pub(crate) async fn write_segment(pool: &PgPool, segment: &Segment) -> Result<(), Failure> {
    let row = SegmentRow::from(segment);
    let written = sqlx::query!(
        "INSERT INTO segments
            (recording, parameters, number, node, state, start_ns, duration_ns, media_bytes, bytes, error, created_at)
         SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM recordings WHERE id = $1
         ON CONFLICT (recording, parameters, number) DO UPDATE SET
            node = excluded.node, state = excluded.state, start_ns = excluded.start_ns,
            duration_ns = excluded.duration_ns, media_bytes = excluded.media_bytes, bytes = excluded.bytes,
            error = excluded.error",
        row.recording,
        row.parameters,
        row.number,
        row.node,
        row.state,
        row.start_ns,
        row.duration_ns,
        row.media_bytes,
        row.bytes,
        row.error,
        row.created_at,
    )
    .execute(pool)
    .await?;
    if written.rows_affected() > 0 { Ok(()) } else { Err(StoreError::NotFound { what: "recording" }.into()) }
}

pub(crate) async fn requeue_segments(
    pool: &PgPool,
    recording: RecordingId,
    parameters: &str,
    error: Option<&str>,
) -> Result<(), Failure> {
    let error = error.map(|error| row::text(error).into_owned());
    sqlx::query!(
        "UPDATE segments SET
            state = CASE WHEN state = 'IN_PROGRESS' AND $3::text IS NOT NULL THEN 'FAILED' ELSE 'QUEUED' END,
            error = CASE WHEN state = 'IN_PROGRESS' THEN $3 END, bytes = 0
         WHERE recording = $1 AND parameters = $2",
        recording.as_uuid(),
        &*row::text(parameters),
        error,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn segments_of(
    pool: &PgPool,
    tenant: &TenantId,
    recording: RecordingId,
) -> Result<Vec<Segment>, Failure> {
    let rows = sqlx::query_as!(
        SegmentRow,
        "SELECT s.recording, s.parameters, s.number, s.node, s.state, s.start_ns, s.duration_ns, s.media_bytes,
            s.bytes, s.error, s.created_at
         FROM segments s JOIN recordings r ON r.id = s.recording
         WHERE s.recording = $1 AND r.tenant = $2 ORDER BY s.parameters, s.number",
        recording.as_uuid(),
        tenant.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(SegmentRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn delete_segments(
    pool: &PgPool,
    recording: RecordingId,
    parameters: &str,
) -> Result<(), Failure> {
    sqlx::query!(
        "DELETE FROM segments WHERE recording = $1 AND parameters = $2",
        recording.as_uuid(),
        &*row::text(parameters)
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn delete_old_segments(pool: &PgPool, before: DateTime<Utc>) -> Result<u64, Failure> {
    let deleted = sqlx::query!(
        "DELETE FROM segments s USING recordings r WHERE r.id = s.recording AND r.ended_at < $1",
        before
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
