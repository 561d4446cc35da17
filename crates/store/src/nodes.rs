//! Nodes of the cluster.

use chrono::{DateTime, Utc};
use model::NodeId;

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The address of its gRPC for the other nodes, `host:port`.
    pub grpc_address: String,
    /// The time of its last heartbeat.
    pub seen_at: DateTime<Utc>,
    /// Whether it drains: it refuses new sessions.
    pub draining: bool,
}
