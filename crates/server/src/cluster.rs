//! The other nodes of the cluster: which one owns a session, and calls forwarded to it.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use model::{NodeId, SessionId};
use proto::{
    recorder::v1::{PauseRecordingResponse, ResumeRecordingResponse, Session},
    webrtc_recorder::{RenegotiateP2pVideoResponse, StopP2pVideoResponse},
};
use store::{Node, Store, StoreError};

use crate::{auth::Caller, error::ApiError};

/// Calls another node at its address, `host:port`, in the name of a caller. A node answers a forwarded call itself and
/// does not forward it again.
///
/// # Errors
/// Of the calls about a session: `OwnerAway` if the node can't be reached, else its own answer as `Relayed`.
#[async_trait::async_trait]
pub trait NodeClient: Send + Sync {
    /// Stops a session there.
    async fn stop(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<StopP2pVideoResponse, ApiError>;

    /// Renegotiates a session there.
    async fn renegotiate(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
        sdp_offer: String,
    ) -> Result<RenegotiateP2pVideoResponse, ApiError>;

    /// Pauses a session there.
    async fn pause(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<PauseRecordingResponse, ApiError>;

    /// Resumes a session there.
    async fn resume(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<ResumeRecordingResponse, ApiError>;

    /// The caller's live sessions of that node.
    async fn list_sessions(&self, address: &str, caller: &Caller) -> Result<Vec<Session>, ApiError>;
}

/// The owner of a session that is not live on this node.
pub enum Owner {
    /// The session has ended: finalized and committed.
    Nobody,
    /// Another node, by its gRPC address, `host:port`.
    Node(String),
}

/// This node's view of the others. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    /// This node.
    pub node: NodeId,
    /// Knows the nodes and the owners of sessions.
    pub store: Arc<dyn Store>,
    /// Calls the others.
    pub client: Arc<dyn NodeClient>,
    /// A node whose last heartbeat is older is not called.
    pub silent_after: Duration,
}

impl Cluster {
    /// Which node owns the tenant's session, by the database. Call it after the session was not found here.
    ///
    /// # Errors
    /// `NotFound`; `OwnerAway` if the owner can't be called; `Store`.
    pub async fn owner(&self, caller: &Caller, id: SessionId) -> Result<Owner, ApiError> {
        let (node, ended) = match self.store.session(&caller.tenant, id).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Err(ApiError::NotFound(id.to_string())),
            Err(error) => return Err(error.into()),
        };
        if ended.is_some() {
            return Ok(Owner::Nobody);
        }
        // The row names this node, and the session is not live here: it ended after this node looked for it and its end
        // is not committed yet, or it was cut off by a crash and is not recovered yet. A retry will find its end.
        // A forwarded call is never forwarded again: two nodes could send it to each other forever.
        if node == self.node || caller.forwarded_by.is_some() {
            return Err(ApiError::OwnerAway(id));
        }
        let owner = match self.store.node(&node).await {
            Ok(owner) => owner,
            Err(StoreError::NotFound { .. }) => return Err(ApiError::OwnerAway(id)),
            Err(error) => return Err(error.into()),
        };
        let silent = Utc::now().signed_duration_since(owner.seen_at).to_std().unwrap_or_default();
        if silent > self.silent_after {
            return Err(ApiError::OwnerAway(id));
        }
        Ok(Owner::Node(owner.grpc_address))
    }

    /// The other nodes that can be called.
    ///
    /// # Errors
    /// `Store`.
    pub async fn others(&self) -> Result<Vec<Node>, ApiError> {
        let mut nodes = self.store.nodes_seen_within(self.silent_after).await?;
        nodes.retain(|node| node.id != self.node);
        Ok(nodes)
    }
}
