//! Upload, renegotiate and stop: the three calls of `WebRTCService`.

use capture::{CaptureError, NewSession};
use model::EndReason;
use proto::webrtc_recorder::{
    RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest, StopP2pVideoResponse,
    UploadP2pVideoRequest, UploadP2pVideoResponse,
};

use super::{Api, check, record_session_id, run_detached};
use crate::{auth::Caller, cluster::Owner, error::ApiError};

impl Api {
    /// Answers an offer and begins to record.
    ///
    /// # Errors
    /// As documented at the service in `/proto`.
    pub async fn upload(
        &self,
        caller: &Caller,
        request: UploadP2pVideoRequest,
    ) -> Result<UploadP2pVideoResponse, ApiError> {
        let channel = check::upload(&request, self.limits)?;
        let session = NewSession {
            tenant: caller.tenant.clone(),
            name: request.name,
            correlation_id: request.uuid,
            channel,
            sdp_offer: request.sdp_offer,
        };
        let capture = self.capture.clone();
        let begun = run_detached(&self.work, async move { capture.begin(session).await }).await??;
        record_session_id(begun.id);
        Ok(UploadP2pVideoResponse { sdp_answer: begun.sdp_answer, id: begun.id.to_string() })
    }

    /// Answers another offer of a live session on any node.
    ///
    /// # Errors
    /// As documented at the service in `/proto`.
    pub async fn renegotiate(
        &self,
        caller: &Caller,
        request: RenegotiateP2pVideoRequest,
    ) -> Result<RenegotiateP2pVideoResponse, ApiError> {
        let id = check::session_id(&request.id)?;
        let mut violations = Vec::new();
        check::offer(&request.sdp_offer, self.limits, &mut violations);
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        let (capture, tenant, offer) =
            (self.capture.clone(), caller.tenant.clone(), request.sdp_offer.clone());
        let answer =
            run_detached(&self.work, async move { capture.renegotiate(&tenant, id, offer).await }).await?;
        match answer {
            Ok(sdp_answer) => Ok(RenegotiateP2pVideoResponse { sdp_answer }),
            Err(CaptureError::NotFound(_)) => match self.cluster.owner(caller, id).await? {
                Owner::Nobody => Err(ApiError::Ended(id)),
                Owner::Node(address) => {
                    self.cluster.client.renegotiate(&address, caller, id, request.sdp_offer).await
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a recording on any node and returns once it is finalized. Stopping it again is no error.
    ///
    /// # Errors
    /// As documented at the service in `/proto`.
    pub async fn stop(
        &self,
        caller: &Caller,
        request: StopP2pVideoRequest,
    ) -> Result<StopP2pVideoResponse, ApiError> {
        let id = check::session_id(&request.id)?;
        let (capture, tenant) = (self.capture.clone(), caller.tenant.clone());
        let stopped =
            run_detached(&self.work, async move { capture.stop(&tenant, id, EndReason::Requested).await })
                .await?;
        match stopped {
            Ok(_) => Ok(StopP2pVideoResponse {}),
            Err(CaptureError::NotFound(_)) => match self.cluster.owner(caller, id).await? {
                Owner::Nobody => Ok(StopP2pVideoResponse {}),
                Owner::Node(address) => self.cluster.client.stop(&address, caller, id).await,
            },
            Err(error) => Err(error.into()),
        }
    }
}
