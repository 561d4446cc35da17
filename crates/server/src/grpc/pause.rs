//! `PauseRecording` and `ResumeRecording`, and how they are handed on.

use http::HeaderMap;
use model::{RecordingState, SessionId};
use proto::recorder::v1::{
    PauseRecordingRequest, ResumeRecordingRequest, recording_service_client::RecordingServiceClient,
};
use tonic::Status;

use super::{Forwarder, RecordingRpc, forward::handed_on, status::status};
use crate::{
    api::observed,
    auth::{Caller, Permission},
    error::ApiError,
};

impl RecordingRpc {
    /// Both calls, which differ in nothing but what they want.
    pub(super) async fn pause_or_resume(
        &self,
        headers: &HeaderMap,
        id: &str,
        paused: bool,
    ) -> Result<RecordingState, Status> {
        let call = async {
            let caller = self.auth.caller(headers, Permission::Record)?;
            self.api.pause(&caller, id, paused).await
        };
        let method = if paused { "PauseRecording" } else { "ResumeRecording" };
        observed("grpc", method, headers, call).await.map_err(status)
    }
}

impl Forwarder {
    pub(crate) async fn pause(
        &self,
        address: &str,
        caller: &Caller,
        id: SessionId,
        paused: bool,
    ) -> Result<(), ApiError> {
        let mut client = RecordingServiceClient::new(self.channel(address)?);
        let answer = if paused {
            let request = PauseRecordingRequest { id: id.to_string() };
            client.pause_recording(self.request(caller, request)?).await.map(drop)
        } else {
            let request = ResumeRecordingRequest { id: id.to_string() };
            client.resume_recording(self.request(caller, request)?).await.map(drop)
        };
        answer.map_err(|status| handed_on(id, &status))
    }
}
