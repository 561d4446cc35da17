//! Deletion of recordings.

use model::JobKind;
use proto::recorder::v1 as pb;
use store::{Deletion, StoreError};

use super::{Api, check};
use crate::{auth::Caller, error::ApiError};

impl Api {
    /// Deletes a recording with its renditions. Deleting it again is no error.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Store` (`WrongState` while it is live).
    pub async fn delete_recording(
        &self,
        caller: &Caller,
        request: pb::DeleteRecordingRequest,
    ) -> Result<pb::DeleteRecordingResponse, ApiError> {
        let id = check::recording_id("id", &request.id)?;
        match self.store.delete_recording(&caller.tenant, id, &caller.name).await {
            Ok(Deletion::Deleted { jobs }) => {
                jobs::count_enqueued(JobKind::Delete, jobs);
                tracing::info!(recording_id = %id, tenant = %caller.tenant, caller = caller.name, "recording deleted");
                Ok(pb::DeleteRecordingResponse {})
            }
            Ok(Deletion::AlreadyDeleted) => Ok(pb::DeleteRecordingResponse {}),
            Err(StoreError::NotFound { .. }) => Err(ApiError::NotFound(id.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}
