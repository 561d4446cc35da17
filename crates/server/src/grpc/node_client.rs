//! Calls to other nodes by gRPC.

use std::time::Duration;

use model::{NodeId, SessionId};
use proto::{
    recorder::v1::{
        ListSessionsRequest, PauseRecordingRequest, PauseRecordingResponse, ResumeRecordingRequest,
        ResumeRecordingResponse, Session, recording_service_client::RecordingServiceClient,
    },
    webrtc_recorder::{
        RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest, StopP2pVideoResponse,
        web_rtc_service_client::WebRtcServiceClient,
    },
};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::status::relayed;
use crate::{
    auth::{Caller, FORWARDED_HEADER},
    cluster::NodeClient,
    error::ApiError,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Enough for the sessions of a node at its limit with ten tracks each.
const MAX_SESSIONS_BYTES: usize = 64 << 20;

/// Calls other nodes with the caller's own token.
#[derive(Debug, Clone)]
pub struct GrpcNodeClient {
    node: NodeId,
    tls: Option<ClientTlsConfig>,
    timeout: Duration,
}

impl GrpcNodeClient {
    /// `node` is sent as the forwarding node. Without `tls` calls are in plain text. `timeout` bounds each answer.
    #[must_use]
    pub fn new(node: NodeId, tls: Option<ClientTlsConfig>, timeout: Duration) -> Self {
        Self { node, tls, timeout }
    }

    /// Forwards one call about a session.
    async fn forward<Q, A>(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
        message: Q,
        call: impl AsyncFnOnce(Channel, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, ApiError> {
        let answer = call(self.channel(address)?, self.request(caller, message)?).await;
        answer.map(Response::into_inner).map_err(|status| forwarding_error(id, &status))
    }

    /// Connects at the first call.
    fn channel(&self, address: &str) -> Result<Channel, ApiError> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let unusable = |error: tonic::transport::Error| {
            ApiError::Internal(format!("another node's address {address:?} can't be used: {error}"))
        };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(unusable)?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone()).map_err(unusable)?;
        }
        Ok(endpoint.connect_lazy())
    }

    fn request<T>(&self, caller: &Caller, message: T) -> Result<Request<T>, ApiError> {
        let header = |text: &str| {
            MetadataValue::<Ascii>::try_from(text)
                .map_err(|_| ApiError::Internal("a header can't be forwarded".to_owned()))
        };
        let mut request = Request::new(message);
        request.metadata_mut().insert(FORWARDED_HEADER, header(self.node.as_str())?);
        if let Some(token) = &caller.token {
            let mut value = header(&format!("Bearer {}", token.reveal()))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

#[async_trait::async_trait]
impl NodeClient for GrpcNodeClient {
    async fn stop(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<StopP2pVideoResponse, ApiError> {
        let message = StopP2pVideoRequest { id: id.to_string() };
        let call = async |channel, request| WebRtcServiceClient::new(channel).stop_p2p_video(request).await;
        self.forward(address, caller, id, message, call).await
    }

    async fn renegotiate(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
        sdp_offer: String,
    ) -> Result<RenegotiateP2pVideoResponse, ApiError> {
        let message = RenegotiateP2pVideoRequest { id: id.to_string(), sdp_offer };
        let call =
            async |channel, request| WebRtcServiceClient::new(channel).renegotiate_p2p_video(request).await;
        self.forward(address, caller, id, message, call).await
    }

    async fn pause(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<PauseRecordingResponse, ApiError> {
        let message = PauseRecordingRequest { id: id.to_string() };
        let call =
            async |channel, request| RecordingServiceClient::new(channel).pause_recording(request).await;
        self.forward(address, caller, id, message, call).await
    }

    async fn resume(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<ResumeRecordingResponse, ApiError> {
        let message = ResumeRecordingRequest { id: id.to_string() };
        let call =
            async |channel, request| RecordingServiceClient::new(channel).resume_recording(request).await;
        self.forward(address, caller, id, message, call).await
    }

    async fn list_sessions(&self, address: &str, caller: &Caller) -> Result<Vec<Session>, ApiError> {
        let client = RecordingServiceClient::new(self.channel(address)?);
        let mut client = client.max_decoding_message_size(MAX_SESSIONS_BYTES);
        let answer = client.list_sessions(self.request(caller, ListSessionsRequest {})?).await;
        answer.map(|answer| answer.into_inner().sessions).map_err(|status| relayed(&status))
    }
}

/// tonic reports a node that can't be reached by one of three codes without details. The caller gets the same answer as
/// for a lost node.
fn forwarding_error(id: SessionId, status: &Status) -> ApiError {
    let unreachable = matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown);
    if unreachable && status.details().is_empty() {
        tracing::warn!(session_id = %id, error = %status, "forwarding failed: the session's node can't be reached");
        return ApiError::OwnerAway(id);
    }
    relayed(status)
}
