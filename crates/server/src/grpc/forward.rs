//! Calls handed on to the node that has the session. The caller never sees which.

use std::time::Duration;

use model::{NodeId, SessionId};
use proto::{
    recorder::v1::{ListSessionsRequest, Session, recording_service_client::RecordingServiceClient},
    webrtc_recorder::{
        RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest, StopP2pVideoResponse,
        web_rtc_service_client::WebRtcServiceClient,
    },
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::status::relayed;
use crate::{
    auth::{Caller, FORWARDED_HEADER},
    error::ApiError,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The sessions of a node that has as many as it can take, with ten tracks each.
const MAX_SESSIONS_BYTES: usize = 64 << 20;

/// Calls other nodes.
#[derive(Debug, Clone)]
pub struct Forwarder {
    node: NodeId,
    tls: Option<ClientTlsConfig>,
    wait: Duration,
}

impl Forwarder {
    /// Calls in the name of `node`, over TLS if it is given, and waits for an answer at most `wait`.
    #[must_use]
    pub fn new(node: NodeId, tls: Option<ClientTlsConfig>, wait: Duration) -> Self {
        Self { node, tls, wait }
    }

    pub(crate) async fn stop(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
    ) -> Result<StopP2pVideoResponse, ApiError> {
        let mut client = self.client(address)?;
        let request = StopP2pVideoRequest { id: id.to_string() };
        let answer = client.stop_p2p_video(self.request(caller, request)?).await;
        answer.map(tonic::Response::into_inner).map_err(|status| handed_on(id, &status))
    }

    pub(crate) async fn renegotiate(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
        sdp_offer: String,
    ) -> Result<RenegotiateP2pVideoResponse, ApiError> {
        let mut client = self.client(address)?;
        let request = RenegotiateP2pVideoRequest { id: id.to_string(), sdp_offer };
        let answer = client.renegotiate_p2p_video(self.request(caller, request)?).await;
        answer.map(tonic::Response::into_inner).map_err(|status| handed_on(id, &status))
    }

    /// The caller's live sessions of the node at this address alone: what was forwarded is not forwarded again.
    pub(crate) async fn list_sessions(
        &self,
        address: &str,
        caller: &Caller,
    ) -> Result<Vec<Session>, ApiError> {
        let client = RecordingServiceClient::new(self.channel(address)?);
        let mut client = client.max_decoding_message_size(MAX_SESSIONS_BYTES);
        let answer = client.list_sessions(self.request(caller, ListSessionsRequest {})?).await;
        answer.map(|answer| answer.into_inner().sessions).map_err(|status| relayed(&status))
    }

    fn client(&self, address: &str) -> Result<WebRtcServiceClient<Channel>, ApiError> {
        Ok(WebRtcServiceClient::new(self.channel(address)?))
    }

    /// The way to another node, which is opened by the first call.
    pub(super) fn channel(&self, address: &str) -> Result<Channel, ApiError> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let bad = |error: tonic::transport::Error| {
            ApiError::Internal(format!("another node's address {address:?} can't be used: {error}"))
        };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(bad)?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.wait);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone()).map_err(bad)?;
        }
        Ok(endpoint.connect_lazy())
    }

    pub(super) fn request<T>(&self, caller: &Caller, message: T) -> Result<Request<T>, ApiError> {
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

/// A node that can't be reached gives a status without details: to the caller it is as if it were dead.
pub(super) fn handed_on(id: SessionId, status: &Status) -> ApiError {
    let unreachable = matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown);
    if unreachable && status.details().is_empty() {
        tracing::warn!(session_id = %id, error = %status, "the node that has the session can't be reached");
        return ApiError::OwnerAway(id);
    }
    relayed(status)
}
