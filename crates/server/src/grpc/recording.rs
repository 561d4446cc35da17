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

use super::{Rpc, status::status};
use crate::{
    api::{Api, Watch},
    calls::Method,
};

#[tonic::async_trait]
impl RecordingService for Rpc {
    async fn get_recording(
        &self,
        request: Request<GetRecordingRequest>,
    ) -> Result<Response<GetRecordingResponse>, Status> {
        self.call(Method::GetRecording, request, Api::get_recording).await
    }

    async fn list_recordings(
        &self,
        request: Request<ListRecordingsRequest>,
    ) -> Result<Response<ListRecordingsResponse>, Status> {
        self.call(Method::ListRecordings, request, Api::list_recordings).await
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        self.call(Method::ListSessions, request, Api::list_sessions).await
    }

    type WatchRecordingStream = WatchStream;

    async fn watch_recording(
        &self,
        request: Request<WatchRecordingRequest>,
    ) -> Result<Response<WatchStream>, Status> {
        let watch = self.call(Method::WatchRecording, request, Api::watch_recording).await?;
        Ok(watch.map(WatchStream))
    }

    async fn create_rendition(
        &self,
        request: Request<CreateRenditionRequest>,
    ) -> Result<Response<CreateRenditionResponse>, Status> {
        self.call(Method::CreateRendition, request, Api::create_rendition).await
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        self.call(Method::ListSegments, request, Api::list_segments).await
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        self.call(Method::ListJobs, request, Api::list_jobs).await
    }

    async fn retry_job(
        &self,
        request: Request<RetryJobRequest>,
    ) -> Result<Response<RetryJobResponse>, Status> {
        self.call(Method::RetryJob, request, Api::retry_job).await
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        self.call(Method::CancelJob, request, Api::cancel_job).await
    }

    async fn create_download_url(
        &self,
        request: Request<CreateDownloadUrlRequest>,
    ) -> Result<Response<CreateDownloadUrlResponse>, Status> {
        self.call(Method::CreateDownloadUrl, request, Api::create_download_url).await
    }

    async fn delete_recording(
        &self,
        request: Request<DeleteRecordingRequest>,
    ) -> Result<Response<DeleteRecordingResponse>, Status> {
        self.call(Method::DeleteRecording, request, Api::delete_recording).await
    }

    async fn pause_recording(
        &self,
        request: Request<PauseRecordingRequest>,
    ) -> Result<Response<PauseRecordingResponse>, Status> {
        self.call(Method::PauseRecording, request, Api::pause_recording).await
    }

    async fn resume_recording(
        &self,
        request: Request<ResumeRecordingRequest>,
    ) -> Result<Response<ResumeRecordingResponse>, Status> {
        self.call(Method::ResumeRecording, request, Api::resume_recording).await
    }
}

/// The events of a watch. Dropping the stream ends the watch.
pub struct WatchStream(Watch);

impl Stream for WatchStream {
    type Item = Result<WatchRecordingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(|event| event.map_err(status)))
    }
}
