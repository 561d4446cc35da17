//! Recordings: single and in lists.

use chrono::{DateTime, Utc};
use model::{Recording, RecordingId, RecordingState, Source, TenantId};
use serde_json::Value;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use store::{
    Page, RecordingFilter, StoreError,
    row::{self, RecordingRow, TrackRow},
};
use uuid::{Uuid, fmt::Hyphenated};

use crate::Failure;

/// A query of recordings: the literals of its conditions, which are joined, then its arguments.
macro_rules! recordings {
    ([$($conditions:tt)+], $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            RecordingRow,
            r#"SELECT id AS "id: Hyphenated", tenant, name, correlation_id, channel, source, node, state,
                started_at AS "started_at: DateTime<Utc>", ended_at AS "ended_at: DateTime<Utc>", end_reason,
                container, object_key, duration_ns, bytes, sha256, COALESCE(parked_error, error) AS "error: String"
             FROM recordings "# + $($conditions)+,
            $($argument),+
        )
    };
}

pub(crate) async fn recording(
    pool: &SqlitePool,
    tenant: &TenantId,
    id: RecordingId,
) -> Result<Recording, Failure> {
    let (id, tenant) = (id.as_uuid().hyphenated(), tenant.as_str());
    let mut snapshot = snapshot(pool).await?;
    let row = recordings!(["WHERE id = ?1 AND tenant = ?2"], id, tenant)
        .fetch_optional(&mut *snapshot)
        .await?
        .ok_or(StoreError::NotFound { what: "recording" })?;
    let tracks = tracks(&mut snapshot, &[row.id]).await?;
    snapshot.commit().await?;
    let tracks = tracks.into_iter().map(TrackRow::read).collect::<Result<_, _>>()?;
    Ok(row.read(tracks)?)
}

pub(crate) async fn list_recordings(
    pool: &SqlitePool,
    tenant: &TenantId,
    filter: &RecordingFilter,
    after: Option<(DateTime<Utc>, RecordingId)>,
    limit: u32,
) -> Result<Page, Failure> {
    let limit = limit.max(1);
    let mut snapshot = snapshot(pool).await?;
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

/// Begins a transaction whose queries see one snapshot: a recording and its tracks are two queries. A deferred transaction
/// is enough in SQLite; the Postgres twin asks for REPEATABLE READ.
async fn snapshot(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    pool.begin().await
}

/// Each choice of the most selective condition has a query of its own, so that an index serves it: SQLite plans a query
/// without its arguments.
async fn page(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    filter: &RecordingFilter,
    after: Option<(DateTime<Utc>, RecordingId)>,
    limit: i64,
) -> Result<Vec<RecordingRow>, sqlx::Error> {
    let name = filter.name.as_deref().map(row::text);
    let correlation_id = filter.correlation_id.as_deref().map(row::text);
    let (after_time, after_id) = row::after(filter, after).unzip();
    let (tenant, name, correlation_id) = (tenant.as_str(), name.as_deref(), correlation_id.as_deref());
    let state = filter.state.map(RecordingState::as_str);
    let source = filter.source.map(Source::as_str);
    let after_id = after_id.map(Uuid::hyphenated);
    macro_rules! page_by {
        ($condition:literal) => {
            recordings!(
                ["WHERE tenant = ?1
                    AND (?2 IS NULL OR name = ?2)
                    AND (?3 IS NULL OR correlation_id = ?3)
                    AND CASE WHEN ?4 IS NULL THEN state <> 'DELETED' ELSE state = ?4 END
                    AND (?9 IS NULL OR source = ?9)
                    AND started_at >= COALESCE(?5, '')
                    AND (started_at, id) < (COALESCE(?6, '~'), COALESCE(?7, '~'))
                    AND "
                    + $condition
                    + "
                ORDER BY started_at DESC, id DESC
                LIMIT ?8"],
                tenant,
                name,
                correlation_id,
                state,
                filter.started_from,
                after_time,
                after_id,
                limit,
                source,
            )
            .fetch_all(connection)
            .await
        };
    }
    if correlation_id.is_some_and(|id| !id.is_empty()) {
        page_by!("correlation_id <> '' AND correlation_id = ?3")
    } else if name.is_some() {
        page_by!("name = ?2")
    } else if state.is_some() {
        page_by!("state = ?4")
    } else {
        page_by!("true")
    }
}

pub(crate) async fn set_sha256(pool: &SqlitePool, id: RecordingId, sha256: &str) -> Result<(), Failure> {
    let id = id.as_uuid().hyphenated();
    sqlx::query!("UPDATE recordings SET sha256 = ?2 WHERE id = ?1 AND sha256 IS NULL", id, sha256)
        .execute(pool)
        .await?;
    Ok(())
}

async fn tracks(
    connection: &mut SqliteConnection,
    recordings: &[Uuid],
) -> Result<Vec<TrackRow>, sqlx::Error> {
    let recordings = Value::from_iter(recordings.iter().map(ToString::to_string)).to_string();
    sqlx::query_as!(
        TrackRow,
        r#"SELECT recording AS "recording: Hyphenated", number, mid, kind, codec, width, height, start_ns, duration_ns, frames, bytes, packets_lost
         FROM tracks WHERE recording IN (SELECT value FROM json_each(?1)) ORDER BY recording, number"#,
        recordings,
    )
    .fetch_all(connection)
    .await
}
