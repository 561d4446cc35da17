//! `recorder.v1.RecordingService`.

use proto::recorder::v1::{
    GetRecordingRequest, GetRecordingResponse, ListRecordingsRequest, ListRecordingsResponse,
    ListSessionsRequest, ListSessionsResponse, recording_service_server::RecordingService,
};
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    api::{Api, observed},
    auth::{Authenticator, Permission},
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
        let call = async {
            let caller = self.auth.caller(request.metadata().as_ref(), Permission::View)?;
            self.api.get_recording(&caller, request.into_inner()).await
        };
        observed("grpc", "GetRecording", call).await.map(Response::new).map_err(status)
    }

    async fn list_recordings(
        &self,
        request: Request<ListRecordingsRequest>,
    ) -> Result<Response<ListRecordingsResponse>, Status> {
        let call = async {
            let caller = self.auth.caller(request.metadata().as_ref(), Permission::View)?;
            self.api.list_recordings(&caller, request.into_inner()).await
        };
        observed("grpc", "ListRecordings", call).await.map(Response::new).map_err(status)
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let call = async {
            let caller = self.auth.caller(request.metadata().as_ref(), Permission::View)?;
            self.api.list_sessions(&caller, request.into_inner()).await
        };
        observed("grpc", "ListSessions", call).await.map(Response::new).map_err(status)
    }
}
