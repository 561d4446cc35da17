//! Pause and resume of a live session, wherever in the cluster it is.

use capture::CaptureError;
use model::RecordingState;

use super::{Api, check, owner::Owner, to_the_end, webrtc::note};
use crate::{auth::Caller, error::ApiError};

impl Api {
    /// Pauses a session, or resumes it; its state then.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Ended`, `OwnerAway`; with the database away the session has done as it was told, and
    /// its row says so once the call is repeated.
    pub async fn pause(&self, caller: &Caller, id: &str, paused: bool) -> Result<RecordingState, ApiError> {
        let id = check::session_id(id)?;
        note(caller, Some(id));
        let (capture, tenant) = (self.capture.clone(), caller.tenant.clone());
        let done = to_the_end(&self.work, async move { capture.pause(&tenant, id, paused).await }).await?;
        match done {
            Ok(()) => {}
            Err(CaptureError::NotFound(_)) => match self.owner(caller, id).await? {
                Owner::Nobody => return Err(ApiError::Ended(id)),
                Owner::Other(address) => self.forwarder.pause(&address, caller, id, paused).await?,
            },
            Err(error) => return Err(error.into()),
        }
        Ok(RecordingState::of_live(paused))
    }
}
