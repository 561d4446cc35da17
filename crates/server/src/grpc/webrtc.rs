//! `webrtc_recorder.WebRTCService`.

use proto::webrtc_recorder::{
    RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest, StopP2pVideoResponse,
    UploadP2pVideoRequest, UploadP2pVideoResponse, web_rtc_service_server::WebRtcService,
};
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    api::{Api, observed},
    auth::{Authenticator, Permission},
};

/// The service.
#[derive(Clone)]
pub struct WebrtcRpc {
    /// What it calls.
    pub api: Api,
    /// Who may call it.
    pub auth: Authenticator,
}

#[tonic::async_trait]
impl WebRtcService for WebrtcRpc {
    async fn upload_p2p_video(
        &self,
        request: Request<UploadP2pVideoRequest>,
    ) -> Result<Response<UploadP2pVideoResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.upload(&caller, message).await
        };
        observed("grpc", "UploadP2PVideo", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn stop_p2p_video(
        &self,
        request: Request<StopP2pVideoRequest>,
    ) -> Result<Response<StopP2pVideoResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.stop(&caller, message).await
        };
        observed("grpc", "StopP2PVideo", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn renegotiate_p2p_video(
        &self,
        request: Request<RenegotiateP2pVideoRequest>,
    ) -> Result<Response<RenegotiateP2pVideoResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.renegotiate(&caller, message).await
        };
        observed("grpc", "RenegotiateP2PVideo", &headers, call).await.map(Response::new).map_err(status)
    }
}
