//! `recorder.v1.RecordingService`.

use proto::recorder::v1::{
    GetRecordingRequest, GetRecordingResponse, ListRecordingsRequest, ListRecordingsResponse,
    ListSessionsRequest, ListSessionsResponse, PauseRecordingRequest, PauseRecordingResponse,
    ResumeRecordingRequest, ResumeRecordingResponse, recording_service_server::RecordingService,
};
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    api::{Api, observed},
    auth::{Authenticator, Permission},
    wire,
};

/// The service.
#[derive(Clone)]
pub struct RecordingRpc {
    /// What it calls.
    pub api: Api,
    /// Who may call it.
    pub auth: Authenticator,
}

#[tonic::async_trait]
impl RecordingService for RecordingRpc {
    async fn get_recording(
        &self,
        request: Request<GetRecordingRequest>,
    ) -> Result<Response<GetRecordingResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.get_recording(&caller, message).await
        };
        observed("grpc", "GetRecording", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn list_recordings(
        &self,
        request: Request<ListRecordingsRequest>,
    ) -> Result<Response<ListRecordingsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.list_recordings(&caller, message).await
        };
        observed("grpc", "ListRecordings", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.list_sessions(&caller, message).await
        };
        observed("grpc", "ListSessions", &headers, call).await.map(Response::new).map_err(status)
    }
    async fn pause_recording(
        &self,
        request: Request<PauseRecordingRequest>,
    ) -> Result<Response<PauseRecordingResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let state = self.pause_or_resume(&metadata.into_headers(), &message.id, true).await?;
        Ok(Response::new(PauseRecordingResponse { state: wire::state(state).into() }))
    }

    async fn resume_recording(
        &self,
        request: Request<ResumeRecordingRequest>,
    ) -> Result<Response<ResumeRecordingResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let state = self.pause_or_resume(&metadata.into_headers(), &message.id, false).await?;
        Ok(Response::new(ResumeRecordingResponse { state: wire::state(state).into() }))
    }
}
