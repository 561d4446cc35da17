//! `webrtc_recorder.WebRTCService`.

use proto::webrtc_recorder::{
    RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest, StopP2pVideoResponse,
    UploadP2pVideoRequest, UploadP2pVideoResponse, web_rtc_service_server::WebRtcService,
};
use tonic::{Request, Response, Status};

use super::Rpc;
use crate::{api::Api, calls::Method};

#[tonic::async_trait]
impl WebRtcService for Rpc {
    async fn upload_p2p_video(
        &self,
        request: Request<UploadP2pVideoRequest>,
    ) -> Result<Response<UploadP2pVideoResponse>, Status> {
        self.call(Method::UploadP2pVideo, request, Api::upload).await
    }

    async fn stop_p2p_video(
        &self,
        request: Request<StopP2pVideoRequest>,
    ) -> Result<Response<StopP2pVideoResponse>, Status> {
        self.call(Method::StopP2pVideo, request, Api::stop).await
    }

    async fn renegotiate_p2p_video(
        &self,
        request: Request<RenegotiateP2pVideoRequest>,
    ) -> Result<Response<RenegotiateP2pVideoResponse>, Status> {
        self.call(Method::RenegotiateP2pVideo, request, Api::renegotiate).await
    }
}
