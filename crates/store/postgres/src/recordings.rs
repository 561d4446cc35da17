//! Recordings: single and in lists.

use chrono::{DateTime, Utc};
use model::{Recording, RecordingId, TenantId};
use sqlx::{PgConnection, PgPool};
use store::{
    Page, RecordingFilter, StoreError,
    row::{self, RecordingRow, TrackRow},
};
use uuid::Uuid;

use crate::{Failure, begin_snapshot};

/// Locks a recording's row until the transaction ends. Inserts of rows that refer to it do not wait for this lock.
pub(crate) async fn lock(connection: &mut PgConnection, id: RecordingId) -> Result<(), Failure> {
    sqlx::query!("SELECT id FROM recordings WHERE id = $1 FOR NO KEY UPDATE", id.as_uuid())
        .fetch_optional(connection)
        .await?;
    Ok(())
}

/// A query of recordings: the literals of its conditions, which are joined, then its arguments.
macro_rules! recordings {
    ([$($conditions:tt)+], $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            RecordingRow,
            "SELECT id, tenant, name, correlation_id, channel, source, node, state, started_at, ended_at, end_reason,
                container, object_key, duration_ns, bytes, sha256, COALESCE(parked_error, error) AS error
             FROM recordings " + $($conditions)+,
            $($argument),+
        )
    };
}

pub(crate) async fn recording(
    pool: &PgPool,
    tenant: &TenantId,
    id: RecordingId,
) -> Result<Recording, Failure> {
    let mut snapshot = begin_snapshot(pool).await?;
    let row = recordings!(["WHERE id = $1 AND tenant = $2"], id.as_uuid(), tenant.as_str())
        .fetch_optional(&mut *snapshot)
        .await?
        .ok_or(StoreError::NotFound { what: "recording" })?;
    let tracks = tracks(&mut snapshot, &[row.id]).await?;
    snapshot.commit().await?;
    let tracks = tracks.into_iter().map(TrackRow::read).collect::<Result<_, _>>()?;
    Ok(row.read(tracks)?)
}

pub(crate) async fn list_recordings(
    pool: &PgPool,
    tenant: &TenantId,
    filter: &RecordingFilter,
    after: Option<(DateTime<Utc>, RecordingId)>,
    limit: u32,
) -> Result<Page, Failure> {
    let limit = limit.max(1);
    let mut snapshot = begin_snapshot(pool).await?;
    let mut rows = page(&mut snapshot, tenant, filter, after, i64::from(limit) + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let tracks = tracks(&mut snapshot, &ids).await?;
    snapshot.commit().await?;
    let recordings = row::with_tracks(rows, tracks)?;
    let last = recordings.last().map(|recording| (recording.started_at, recording.id));
    Ok(Page { next: last.filter(|_| more), recordings })
}

/// Each choice of the most selective condition has a query of its own, so that an index serves it also with a generic
/// plan. The indexes are on the first 256 characters, because Postgres limits the size of an index entry; SQLite does not.
async fn page(
    connection: &mut PgConnection,
    tenant: &TenantId,
    filter: &RecordingFilter,
    after: Option<(DateTime<Utc>, RecordingId)>,
    limit: i64,
) -> Result<Vec<RecordingRow>, sqlx::Error> {
    let name = filter.name.as_deref().map(row::text);
    let correlation_id = filter.correlation_id.as_deref().map(row::text);
    let (after_time, after_id) = row::after(filter, after).unzip();
    macro_rules! page_by {
        ($condition:literal) => {
            recordings!(
                ["WHERE tenant = $1
                    AND ($2::text IS NULL OR name = $2)
                    AND ($3::text IS NULL OR correlation_id = $3)
                    AND CASE WHEN $4::text IS NULL THEN state <> 'DELETED' ELSE state = $4 END
                    AND ($9::text IS NULL OR source = $9)
                    AND started_at >= COALESCE($5::timestamptz, '-infinity')
                    AND (started_at, id) < (
                        COALESCE($6::timestamptz, 'infinity'),
                        COALESCE($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                    )
                    AND "
                    + $condition
                    + "
                ORDER BY started_at DESC, id DESC
                LIMIT $8"],
                tenant.as_str(),
                name.as_deref(),
                correlation_id.as_deref(),
                filter.state.map(|state| state.as_str()),
                filter.started_from,
                after_time,
                after_id,
                limit,
                filter.source.map(|source| source.as_str()),
            )
            .fetch_all(connection)
            .await
        };
    }
    if correlation_id.as_deref().is_some_and(|id| !id.is_empty()) {
        page_by!("correlation_id <> '' AND left(correlation_id, 256) = left($3, 256)")
    } else if name.is_some() {
        page_by!("left(name, 256) = left($2, 256)")
    } else if filter.state.is_some() {
        page_by!("state = $4")
    } else {
        page_by!("true")
    }
}

pub(crate) async fn set_sha256(pool: &PgPool, id: RecordingId, sha256: &str) -> Result<(), Failure> {
    sqlx::query!("UPDATE recordings SET sha256 = $2 WHERE id = $1 AND sha256 IS NULL", id.as_uuid(), sha256)
        .execute(pool)
        .await?;
    Ok(())
}

async fn tracks(connection: &mut PgConnection, recordings: &[Uuid]) -> Result<Vec<TrackRow>, sqlx::Error> {
    sqlx::query_as!(
        TrackRow,
        "SELECT recording, number, mid, kind, codec, width, height, start_ns, duration_ns, frames, bytes, packets_lost
         FROM tracks WHERE recording = ANY($1) ORDER BY recording, number",
        recordings,
    )
    .fetch_all(connection)
    .await
}
