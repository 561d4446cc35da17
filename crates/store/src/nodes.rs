//! Nodes of the cluster.

use chrono::{DateTime, Utc};
use model::NodeId;

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Where its gRPC is reached by the other nodes, `host:port`.
    pub grpc_address: String,
    /// When it last said that it lives.
    pub seen_at: DateTime<Utc>,
    /// Whether it refuses new sessions.
    pub draining: bool,
}
