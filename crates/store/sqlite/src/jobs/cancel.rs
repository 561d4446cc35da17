//! Cancels jobs.

use chrono::Utc;
use model::{JobId, JobKind, JobState, RecordingId, RenditionId, RenditionState, TenantId};
use sqlx::SqlitePool;
use store::{Cancellation, NewJob, StoreError, row};
use uuid::fmt::Hyphenated;

use crate::{Failure, begin_write, jobs, renditions};

/// Only render jobs can be cancelled. A DELETE job removes what the runs of the job may have stored.
///
/// The state that was read holds until the commit; the Postgres twin checks it in the UPDATE.
pub(crate) async fn cancel(
    pool: &SqlitePool,
    tenant: &TenantId,
    job: JobId,
) -> Result<(Cancellation, RecordingId), Failure> {
    let mut transaction = begin_write(pool).await?;
    let (id, tenant_name) = (job.as_uuid().hyphenated(), tenant.as_str());
    let found = sqlx::query!(
        r#"SELECT state, kind, attempts, recording AS "recording: Hyphenated", rendition AS "rendition: Hyphenated"
           FROM jobs WHERE id = ?1 AND tenant = ?2"#,
        id,
        tenant_name,
    )
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(StoreError::NotFound { what: "job" })?;
    let (state, recording) = (row::known(&found.state)?, found.recording.into_uuid().into());
    let cancellation = match state {
        JobState::Cancelled => Cancellation::AlreadyCancelled,
        JobState::Done => Cancellation::Refused(state),
        _ if found.kind != "RENDER" => Cancellation::Refused(state),
        _ => Cancellation::Cancelled,
    };
    if cancellation != Cancellation::Cancelled {
        return Ok((cancellation, recording));
    }
    let now = Utc::now();
    sqlx::query!(
        "UPDATE jobs SET state = 'CANCELLED', lease_until = NULL, ended_at = ?2 WHERE id = ?1",
        id,
        now
    )
    .execute(&mut *transaction)
    .await?;
    if let Some(rendition) = found.rendition {
        let id = RenditionId::from(rendition.into_uuid());
        renditions::set_state(&mut transaction, id, RenditionState::Cancelled, None).await?;
        if found.attempts > 0 {
            let removal = NewJob { kind: JobKind::Delete, node: None, run_at: Utc::now() };
            jobs::insert_one(&mut transaction, JobId::new(), recording, tenant, Some(id), &removal).await?;
        }
    }
    transaction.commit().await?;
    Ok((cancellation, recording))
}
