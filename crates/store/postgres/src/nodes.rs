//! Nodes, and whether the database answers.

use std::time::Duration;

use model::NodeId;
use sqlx::PgPool;
use store::{Node, Nodes, StoreError, row};

use crate::{Failure, PostgresStore};

#[async_trait::async_trait]
impl Nodes for PostgresStore {
    async fn heartbeat(&self, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), StoreError> {
        self.bounded(heartbeat(&self.pool, id, grpc_address, draining)).await
    }

    async fn node(&self, id: &NodeId) -> Result<Node, StoreError> {
        self.bounded(node(&self.pool, id)).await
    }

    async fn nodes_seen_within(&self, time: Duration) -> Result<Vec<Node>, StoreError> {
        self.bounded(nodes_seen_within(&self.pool, time)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.bounded(async {
            sqlx::query!("SELECT 1 AS one").fetch_one(&self.pool).await?;
            Ok(())
        })
        .await
    }
}

async fn heartbeat(pool: &PgPool, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), Failure> {
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

async fn node(pool: &PgPool, id: &NodeId) -> Result<Node, Failure> {
    let row = sqlx::query!("SELECT grpc_address, seen_at, draining FROM nodes WHERE id = $1", id.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or(StoreError::NotFound { what: "node" })?;
    Ok(Node { id: id.clone(), grpc_address: row.grpc_address, seen_at: row.seen_at, draining: row.draining })
}

async fn nodes_seen_within(pool: &PgPool, time: Duration) -> Result<Vec<Node>, Failure> {
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
