//! Completes a lost node's uploads, and reconciles when the node returns.

use chrono::Utc;
use model::{JobId, RecordingId};
use sqlx::{SqliteConnection, SqlitePool};
use store::{NewRendition, Upload, row};

use crate::{Failure, begin_write, jobs, renditions};

pub(crate) async fn rescue(
    pool: &SqlitePool,
    upload: &Upload,
    bytes: u64,
    missing: Option<&str>,
    renditions: &[NewRendition],
) -> Result<bool, Failure> {
    let recording = upload.recording.as_uuid().hyphenated();
    let (container, now) = (upload.container.as_str(), Utc::now());
    let missing = missing.map(row::text);
    let missing = missing.as_deref();
    let bytes = row::count(bytes);
    let mut transaction = begin_write(pool).await?;
    let closed = sqlx::query!(
        "UPDATE sessions
         SET closed_at = COALESCE((SELECT seen_at FROM nodes WHERE nodes.id = sessions.node), ?2),
            end_reason = 'CRASH'
         WHERE id = ?1 AND closed_at IS NULL",
        recording,
        now,
    )
    .execute(&mut *transaction)
    .await?;
    let rescue = if closed.rows_affected() > 0 { "SEAL" } else { "UPLOAD" };
    let rescued = sqlx::query!(
        "UPDATE uploads SET rescue = ?3 WHERE recording = ?1 AND upload_id = ?2 AND rescue IS NULL",
        recording,
        upload.id,
        rescue,
    )
    .execute(&mut *transaction)
    .await?;
    if rescued.rows_affected() == 0 {
        return Ok(false);
    }
    let tenant = sqlx::query_scalar!(
        "UPDATE recordings SET state = 'AVAILABLE', error = ?2, parked_from = NULL, parked_error = NULL,
            bytes = CASE WHEN ended_at IS NULL THEN ?3 ELSE bytes END,
            container = COALESCE(container, ?4), object_key = COALESCE(object_key, ?5),
            end_reason = COALESCE(end_reason, 'CRASH'),
            ended_at = COALESCE(ended_at, (SELECT closed_at FROM sessions WHERE sessions.id = ?1))
         WHERE id = ?1 AND state <> 'DELETED'
         RETURNING tenant",
        recording,
        missing,
        bytes,
        container,
        upload.key,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(tenant) = tenant {
        let tenant = row::known(&tenant)?;
        jobs::unbind_renders(&mut transaction, upload.recording).await?;
        for new in renditions {
            renditions::insert_if_absent(&mut transaction, &tenant, upload.recording, None, new).await?;
        }
    }
    transaction.commit().await?;
    Ok(true)
}

/// Called before the upload is deleted. If it was rescued, the whole file is stored now: clears the recording's error and
/// requeues its renditions. Returns the jobs that were cancelled.
pub(crate) async fn undo_rescue(
    connection: &mut SqliteConnection,
    recording: RecordingId,
    upload_id: &str,
) -> Result<Vec<JobId>, Failure> {
    let id = recording.as_uuid().hyphenated();
    let tenant = sqlx::query_scalar!(
        "UPDATE recordings SET error = NULL WHERE id = ?1 AND error IS NOT NULL AND state <> 'DELETED'
            AND EXISTS (SELECT 1 FROM uploads WHERE recording = ?1 AND upload_id = ?2 AND rescue IS NOT NULL)
         RETURNING tenant",
        id,
        upload_id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(tenant) = tenant else { return Ok(Vec::new()) };
    renditions::requeue_all(connection, &row::known(&tenant)?, recording, None).await
}
