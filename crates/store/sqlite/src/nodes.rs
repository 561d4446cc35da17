//! Nodes and their heartbeats.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::NodeId;
use sqlx::SqlitePool;
use store::{Node, StoreError, row};

use crate::Failure;

pub(crate) async fn heartbeat(
    pool: &SqlitePool,
    id: &NodeId,
    grpc_address: &str,
    draining: bool,
) -> Result<(), Failure> {
    let (id, now) = (id.as_str(), Utc::now());
    let grpc_address = &*row::text(grpc_address);
    sqlx::query!(
        "INSERT INTO nodes (id, grpc_address, seen_at, draining) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE
         SET grpc_address = excluded.grpc_address, seen_at = excluded.seen_at, draining = excluded.draining",
        id,
        grpc_address,
        now,
        draining,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn node(pool: &SqlitePool, id: &NodeId) -> Result<Node, Failure> {
    let name = id.as_str();
    let row = sqlx::query!(
        r#"SELECT grpc_address, seen_at AS "seen_at: DateTime<Utc>", draining AS "draining: bool"
           FROM nodes WHERE id = ?1"#,
        name
    )
    .fetch_optional(pool)
    .await?
    .ok_or(StoreError::NotFound { what: "node" })?;
    Ok(Node { id: id.clone(), grpc_address: row.grpc_address, seen_at: row.seen_at, draining: row.draining })
}

pub(crate) async fn nodes_seen_within(pool: &SqlitePool, time: Duration) -> Result<Vec<Node>, Failure> {
    let since = silent_since(time).unwrap_or(DateTime::UNIX_EPOCH);
    let rows = sqlx::query!(
        r#"SELECT id, grpc_address, seen_at AS "seen_at: DateTime<Utc>", draining AS "draining: bool"
           FROM nodes WHERE seen_at >= ?1 ORDER BY id"#,
        since
    )
    .fetch_all(pool)
    .await?;
    let read = rows.into_iter().map(|row| {
        let id = row::known(&row.id)?;
        Ok(Node { id, grpc_address: row.grpc_address, seen_at: row.seen_at, draining: row.draining })
    });
    read.collect()
}

pub(crate) async fn ping(pool: &SqlitePool) -> Result<(), Failure> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await?;
    Ok(())
}

/// The latest heartbeat of a node that is silent for this time. None if it is before the calendar's beginning: no node is
/// silent for so long. The Postgres twin subtracts an interval from `now()` in the query.
pub(crate) fn silent_since(silent_for: Duration) -> Option<DateTime<Utc>> {
    Utc::now().checked_sub_signed(TimeDelta::from_std(silent_for).ok()?)
}
