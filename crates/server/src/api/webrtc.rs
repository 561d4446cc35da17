//! Upload, renegotiate and stop: the three calls of `WebRTCService`.

use capture::{CaptureError, NewSession};
use model::{Channel, EndReason, SessionId};
use proto::webrtc_recorder::{
    RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest, StopP2pVideoResponse,
    UploadP2pVideoRequest, UploadP2pVideoResponse,
};
use tracing::Span;

use super::{Api, check, owner::Owner, to_the_end};
use crate::{auth::Caller, error::ApiError};

impl Api {
    /// Answers an offer and begins to record.
    ///
    /// # Errors
    /// As in the table of the service.
    pub async fn upload(
        &self,
        caller: &Caller,
        request: UploadP2pVideoRequest,
    ) -> Result<UploadP2pVideoResponse, ApiError> {
        note(caller, None);
        let channel: Channel = check::upload(&request, self.limits)?;
        let session = NewSession {
            tenant: caller.tenant.clone(),
            name: request.name,
            correlation_id: request.uuid,
            channel,
            sdp_offer: request.sdp_offer,
        };
        let capture = self.capture.clone();
        let begun = to_the_end(&self.work, async move { capture.begin(session).await }).await??;
        Span::current().record("session_id", tracing::field::display(begun.id));
        Ok(UploadP2pVideoResponse { sdp_answer: begun.sdp_answer, id: begun.id.to_string() })
    }

    /// Answers another offer of a live session, wherever in the cluster it is.
    ///
    /// # Errors
    /// As in the table of the service.
    pub async fn renegotiate(
        &self,
        caller: &Caller,
        request: RenegotiateP2pVideoRequest,
    ) -> Result<RenegotiateP2pVideoResponse, ApiError> {
        let id = check::session_id(&request.id)?;
        note(caller, Some(id));
        let mut violations = Vec::new();
        check::offer(&request.sdp_offer, self.limits, &mut violations);
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        let (capture, tenant, offer) =
            (self.capture.clone(), caller.tenant.clone(), request.sdp_offer.clone());
        let answer =
            to_the_end(&self.work, async move { capture.renegotiate(&tenant, id, offer).await }).await?;
        match answer {
            Ok(sdp_answer) => Ok(RenegotiateP2pVideoResponse { sdp_answer }),
            Err(CaptureError::NotFound(_)) => match self.owner(caller, id).await? {
                Owner::Nobody => Err(ApiError::Ended(id)),
                Owner::Other(address) => {
                    self.forwarder.renegotiate(&address, caller, id, request.sdp_offer).await
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a recording and returns when it is sealed, wherever in the cluster it is.
    ///
    /// # Errors
    /// As in the table of the service.
    pub async fn stop(
        &self,
        caller: &Caller,
        request: StopP2pVideoRequest,
    ) -> Result<StopP2pVideoResponse, ApiError> {
        let id = check::session_id(&request.id)?;
        note(caller, Some(id));
        let (capture, tenant) = (self.capture.clone(), caller.tenant.clone());
        let stopped =
            to_the_end(&self.work, async move { capture.stop(&tenant, id, EndReason::Requested).await })
                .await?;
        match stopped {
            Ok(_) => Ok(StopP2pVideoResponse {}),
            Err(CaptureError::NotFound(_)) => match self.owner(caller, id).await? {
                Owner::Nobody => Ok(StopP2pVideoResponse {}),
                Owner::Other(address) => self.forwarder.stop(&address, caller, id).await,
            },
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn note(caller: &Caller, id: Option<SessionId>) {
    let span = Span::current();
    span.record("tenant", caller.tenant.as_str());
    if !caller.name.is_empty() {
        span.record("caller", caller.name.as_str());
    }
    if let Some(id) = id {
        span.record("session_id", tracing::field::display(id));
    }
}
