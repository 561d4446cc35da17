//! Nodes and their heartbeats.

use std::time::Duration;

use model::NodeId;
use sqlx::PgPool;
use store::{Node, StoreError, row};

use crate::Failure;

pub(crate) async fn heartbeat(
    pool: &PgPool,
    id: &NodeId,
    grpc_address: &str,
    draining: bool,
) -> Result<(), Failure> {
    sqlx::query!(
        "INSERT INTO nodes (id, grpc_address, seen_at, draining) VALUES ($1, $2, now(), $3)
         ON CONFLICT (id) DO UPDATE
         SET grpc_address = excluded.grpc_address, seen_at = excluded.seen_at, draining = excluded.draining",
        id.as_str(),
        &*row::text(grpc_address),
        draining,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn node(pool: &PgPool, id: &NodeId) -> Result<Node, Failure> {
    let row = sqlx::query!("SELECT grpc_address, seen_at, draining FROM nodes WHERE id = $1", id.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or(StoreError::NotFound { what: "node" })?;
    Ok(Node { id: id.clone(), grpc_address: row.grpc_address, seen_at: row.seen_at, draining: row.draining })
}

pub(crate) async fn nodes_seen_within(pool: &PgPool, time: Duration) -> Result<Vec<Node>, Failure> {
    let rows = sqlx::query!(
        "SELECT id, grpc_address, seen_at, draining FROM nodes
         WHERE seen_at >= now() - make_interval(secs => $1) ORDER BY id",
        time.as_secs_f64()
    )
    .fetch_all(pool)
    .await?;
    let read = rows.into_iter().map(|row| {
        let id = row::known(&row.id)?;
        Ok(Node { id, grpc_address: row.grpc_address, seen_at: row.seen_at, draining: row.draining })
    });
    read.collect()
}

pub(crate) async fn ping(pool: &PgPool) -> Result<(), Failure> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await?;
    Ok(())
}

/// The seconds for which a lost node is silent, at most a century: a longer interval is not in the range of `now()` minus it,
/// and no node is silent for so long. SQLite's twin computes the time itself.
pub(crate) fn silence_seconds(silent_for: Duration) -> f64 {
    const CENTURY: f64 = 100.0 * 365.0 * 24.0 * 3600.0;
    silent_for.as_secs_f64().min(CENTURY)
}
