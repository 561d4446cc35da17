//! Which node has a session that is not live here.

use chrono::Utc;
use model::SessionId;
use store::StoreError;

use super::Api;
use crate::{auth::Caller, error::ApiError};

/// Who has a session.
pub(super) enum Owner {
    /// Nobody: it has ended, sealed and written down.
    Nobody,
    /// The node that is reached here, `host:port`.
    Other(String),
}

impl Api {
    /// Asks the database who has the tenant's session.
    pub(super) async fn owner(&self, caller: &Caller, id: SessionId) -> Result<Owner, ApiError> {
        let (node, ended) = match self.store.session(&caller.tenant, id).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Err(ApiError::NotFound(id.to_string())),
            Err(error) => return Err(error.into()),
        };
        if ended.is_some() {
            return Ok(Owner::Nobody);
        }
        // Its row says that it lives here and it does not: it ended between the two looks and its row is about to
        // say so, or a crash left it and the spool's recovery is about to seal it. The same call soon is answered.
        // A call that was forwarded already would only go round.
        if node == self.node || caller.forwarded_by.is_some() {
            return Err(ApiError::OwnerAway(id));
        }
        let owner = match self.store.node(&node).await {
            Ok(owner) => owner,
            Err(StoreError::NotFound { .. }) => return Err(ApiError::OwnerAway(id)),
            Err(error) => return Err(error.into()),
        };
        let silent = Utc::now().signed_duration_since(owner.seen_at).to_std().unwrap_or_default();
        if silent > self.dead_after {
            return Err(ApiError::OwnerAway(id));
        }
        Ok(Owner::Other(owner.grpc_address))
    }
}
