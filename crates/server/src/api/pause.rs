//! Pause and resume of a live session on any node.

use capture::CaptureError;
use model::{RecordingState, SessionId};
use proto::recorder::v1 as pb;

use super::{Api, check, run_detached};
use crate::{auth::Caller, cluster::Owner, error::ApiError, wire};

impl Api {
    /// Pauses a session. Pausing it again changes nothing.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Ended`, `OwnerAway`. If the database is unavailable the session is paused all the same;
    /// repeat the call to write its state.
    pub async fn pause_recording(
        &self,
        caller: &Caller,
        request: pb::PauseRecordingRequest,
    ) -> Result<pb::PauseRecordingResponse, ApiError> {
        let id = check::session_id(&request.id)?;
        if let Some(address) = self.set_paused(caller, id, true).await? {
            return self.cluster.client.pause(&address, caller, id).await;
        }
        Ok(pb::PauseRecordingResponse { state: wire::state(RecordingState::of_live(true)).into() })
    }

    /// Resumes a session. Resuming one that is not paused changes nothing.
    ///
    /// # Errors
    /// As [`pause_recording`](Self::pause_recording).
    pub async fn resume_recording(
        &self,
        caller: &Caller,
        request: pb::ResumeRecordingRequest,
    ) -> Result<pb::ResumeRecordingResponse, ApiError> {
        let id = check::session_id(&request.id)?;
        if let Some(address) = self.set_paused(caller, id, false).await? {
            return self.cluster.client.resume(&address, caller, id).await;
        }
        Ok(pb::ResumeRecordingResponse { state: wire::state(RecordingState::of_live(false)).into() })
    }

    /// Pauses or resumes a session of this node. Returns the owner's address if another node has it.
    async fn set_paused(
        &self,
        caller: &Caller,
        id: SessionId,
        paused: bool,
    ) -> Result<Option<String>, ApiError> {
        let (capture, tenant) = (self.capture.clone(), caller.tenant.clone());
        let done = run_detached(&self.work, async move { capture.pause(&tenant, id, paused).await }).await?;
        match done {
            Ok(()) => Ok(None),
            Err(CaptureError::NotFound(_)) => match self.cluster.owner(caller, id).await? {
                Owner::Nobody => Err(ApiError::Ended(id)),
                Owner::Node(address) => Ok(Some(address)),
            },
            Err(error) => Err(error.into()),
        }
    }
}
