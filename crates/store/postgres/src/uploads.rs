//! The journal of uploads.

use std::time::Duration;

use model::{NodeId, RecordingId};
use sqlx::PgPool;
use store::{
    StoreError, Upload, UploadPart, UploadStatus,
    row::{self, UploadPartRow, UploadRow, UploadStatusRow},
};

use crate::{Failure, begin_snapshot, begin_transaction, nodes::silence_seconds, rescue};

pub(crate) async fn begin_upload(pool: &PgPool, upload: &Upload) -> Result<(), Failure> {
    let (recording, node) = (upload.recording.as_uuid(), upload.node.as_str());
    let container = upload.container.as_str();
    let mut transaction = begin_transaction(pool).await?;
    let written = sqlx::query!(
        "INSERT INTO uploads (recording, node, object_key, upload_id, container)
         SELECT id, $2, $3, $4, $5 FROM recordings WHERE id = $1
         ON CONFLICT (recording) DO NOTHING",
        recording,
        node,
        upload.key,
        upload.id,
        container,
    )
    .execute(&mut *transaction)
    .await?;
    let id = sqlx::query_scalar!("SELECT upload_id FROM uploads WHERE recording = $1", recording)
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.commit().await?;
    match id {
        Some(id) if written.rows_affected() > 0 || id == upload.id => Ok(()),
        Some(_) => Err(StoreError::Conflict { what: "upload" }.into()),
        None => Err(StoreError::NotFound { what: "recording" }.into()),
    }
}

pub(crate) async fn write_part(
    pool: &PgPool,
    recording: RecordingId,
    upload_id: &str,
    part: &UploadPart,
) -> Result<(), Failure> {
    let recording = recording.as_uuid();
    let row = UploadPartRow::from(part);
    let written = sqlx::query!(
        "INSERT INTO upload_parts (recording, number, first_byte, bytes, md5, sha256, etag, provisional, run)
         SELECT recording, $3, $4, $5, $6, $7, $8, $9, $10 FROM uploads WHERE recording = $1 AND upload_id = $2
         ON CONFLICT (recording, number) DO UPDATE SET
            first_byte = excluded.first_byte, bytes = excluded.bytes, md5 = excluded.md5, sha256 = excluded.sha256,
            etag = excluded.etag, provisional = excluded.provisional, run = excluded.run",
        recording,
        upload_id,
        row.number,
        row.first_byte,
        row.bytes,
        row.md5,
        row.sha256,
        row.etag,
        row.provisional,
        row.run,
    )
    .execute(pool)
    .await?;
    if written.rows_affected() > 0 { Ok(()) } else { Err(StoreError::NotFound { what: "upload" }.into()) }
}

pub(crate) async fn upload_of(
    pool: &PgPool,
    recording: RecordingId,
) -> Result<Option<(Upload, Vec<UploadPart>)>, Failure> {
    let recording = recording.as_uuid();
    let mut snapshot = begin_snapshot(pool).await?;
    let upload = sqlx::query_as!(
        UploadRow,
        r#"SELECT recording, node, object_key, upload_id, container,
            rescue IS NOT NULL AS "rescued!"
           FROM uploads WHERE recording = $1"#,
        recording,
    )
    .fetch_optional(&mut *snapshot)
    .await?;
    let Some(upload) = upload else { return Ok(None) };
    let parts = sqlx::query_as!(
        UploadPartRow,
        r#"SELECT number, first_byte, bytes, md5, sha256, etag, provisional,
            run
           FROM upload_parts WHERE recording = $1 ORDER BY number"#,
        recording,
    )
    .fetch_all(&mut *snapshot)
    .await?;
    snapshot.commit().await?;
    let parts = parts.into_iter().map(UploadPartRow::read).collect::<Result<_, _>>()?;
    Ok(Some((upload.read()?, parts)))
}

pub(crate) async fn delete_upload(
    pool: &PgPool,
    recording: RecordingId,
    upload_id: &str,
) -> Result<(), Failure> {
    let mut transaction = begin_transaction(pool).await?;
    rescue::undo_rescue(&mut transaction, recording, upload_id).await?;
    let recording = recording.as_uuid();
    sqlx::query!("DELETE FROM uploads WHERE recording = $1 AND upload_id = $2", recording, upload_id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// A query of uploads joined with their recordings: the literal of its conditions, then its arguments.
macro_rules! statuses {
    ($conditions:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            UploadStatusRow,
            r#"SELECT uploads.recording, uploads.node, uploads.object_key,
                uploads.upload_id, uploads.container, uploads.rescue IS NOT NULL AS "rescued!",
                recordings.tenant, recordings.state, recordings.object_key AS recording_key,
                recordings.ended_at IS NOT NULL AS "finalized!", recordings.bytes
               FROM uploads JOIN recordings ON recordings.id = uploads.recording "# + $conditions,
            $($argument),+
        )
    };
}

pub(crate) async fn uploads_on(pool: &PgPool, node: &NodeId) -> Result<Vec<UploadStatus>, Failure> {
    let node = node.as_str();
    let rows = statuses!("WHERE uploads.node = $1 ORDER BY uploads.recording", node).fetch_all(pool).await?;
    Ok(rows.into_iter().map(UploadStatusRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn lost_uploads(pool: &PgPool, silent_for: Duration) -> Result<Vec<UploadStatus>, Failure> {
    let rows = statuses!(
        "JOIN nodes ON nodes.id = uploads.node
         WHERE nodes.seen_at < now() - make_interval(secs => $1) AND uploads.rescue IS NULL ORDER BY uploads.recording",
        silence_seconds(silent_for),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(UploadStatusRow::read).collect::<Result<_, _>>()?)
}

pub(crate) async fn owner(pool: &PgPool, recording: RecordingId) -> Result<Option<NodeId>, Failure> {
    let recording = recording.as_uuid();
    let node = sqlx::query_scalar!("SELECT node FROM recordings WHERE id = $1", recording)
        .fetch_optional(pool)
        .await?;
    Ok(node.as_deref().map(row::known).transpose()?)
}
