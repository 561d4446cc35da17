//! `recorder.v1.RecordingService`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use proto::recorder::v1::{
    CancelJobRequest, CancelJobResponse, CreateDownloadUrlRequest, CreateDownloadUrlResponse,
    CreateRenditionRequest, CreateRenditionResponse, DeleteRecordingRequest, DeleteRecordingResponse,
    GetRecordingRequest, GetRecordingResponse, ListJobsRequest, ListJobsResponse, ListRecordingsRequest,
    ListRecordingsResponse, ListSegmentsRequest, ListSegmentsResponse, ListSessionsRequest,
    ListSessionsResponse, PauseRecordingRequest, PauseRecordingResponse, ResumeRecordingRequest,
    ResumeRecordingResponse, RetryJobRequest, RetryJobResponse, WatchRecordingRequest,
    WatchRecordingResponse, recording_service_server::RecordingService,
};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    api::{Api, Watching, observed},
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

    type WatchRecordingStream = Events;

    async fn watch_recording(
        &self,
        request: Request<WatchRecordingRequest>,
    ) -> Result<Response<Events>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.watch_recording(&caller, message).await
        };
        let watching = observed("grpc", "WatchRecording", &headers, call).await.map_err(status)?;
        Ok(Response::new(Events(watching)))
    }

    async fn create_rendition(
        &self,
        request: Request<CreateRenditionRequest>,
    ) -> Result<Response<CreateRenditionResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.create_rendition(&caller, message).await
        };
        observed("grpc", "CreateRendition", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.list_segments(&caller, message).await
        };
        observed("grpc", "ListSegments", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.list_jobs(&caller, message).await
        };
        observed("grpc", "ListJobs", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn retry_job(
        &self,
        request: Request<RetryJobRequest>,
    ) -> Result<Response<RetryJobResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.retry_job(&caller, message).await
        };
        observed("grpc", "RetryJob", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.cancel_job(&caller, message).await
        };
        observed("grpc", "CancelJob", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn create_download_url(
        &self,
        request: Request<CreateDownloadUrlRequest>,
    ) -> Result<Response<CreateDownloadUrlResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::View)?;
            self.api.create_download_url(&caller, message).await
        };
        observed("grpc", "CreateDownloadUrl", &headers, call).await.map(Response::new).map_err(status)
    }

    async fn delete_recording(
        &self,
        request: Request<DeleteRecordingRequest>,
    ) -> Result<Response<DeleteRecordingResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.delete_recording(&caller, message).await
        };
        observed("grpc", "DeleteRecording", &headers, call).await.map(Response::new).map_err(status)
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

/// What a watcher is told, as a stream.
pub struct Events(Watching);

impl Stream for Events {
    type Item = Result<WatchRecordingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(|event| event.map_err(status)))
    }
}
