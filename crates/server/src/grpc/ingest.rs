//! `recorder.v1.IngestService`.

use proto::recorder::v1::{
    AudioData, AudioHeader, RecordAudioRequest, RecordAudioResponse, ingest_service_server::IngestService,
    record_audio_request::Message,
};
use tonic::{Code, Request, Response, Status, Streaming};

use super::status::status;
use crate::{
    api::{Api, AudioStream, StreamError, observed},
    auth::{Authenticator, Permission},
    error::ApiError,
};

/// The service.
#[derive(Clone)]
pub struct IngestRpc {
    /// What it calls.
    pub api: Api,
    /// Who may call it.
    pub auth: Authenticator,
}

#[tonic::async_trait]
impl IngestService for IngestRpc {
    async fn record_audio(
        &self,
        request: Request<Streaming<RecordAudioRequest>>,
    ) -> Result<Response<RecordAudioResponse>, Status> {
        let (metadata, _, messages) = request.into_parts();
        let headers = metadata.into_headers();
        let call = async {
            let caller = self.auth.caller(&headers, Permission::Record)?;
            self.api.record_audio(&caller, Messages(messages)).await
        };
        observed("grpc", "RecordAudio", &headers, call).await.map(Response::new).map_err(status)
    }
}

struct Messages(Streaming<RecordAudioRequest>);

impl AudioStream for Messages {
    async fn header(&mut self) -> Result<AudioHeader, ApiError> {
        match self.next().await {
            Ok(Some(Message::Header(header))) => Ok(header),
            Ok(_) => Err(ApiError::invalid("header", "is not the first message")),
            Err(StreamError::Broken) => Err(ApiError::invalid("header", "did not come")),
            Err(StreamError::Invalid(violation)) => Err(ApiError::Invalid(vec![violation])),
        }
    }

    async fn audio(&mut self) -> Result<Option<AudioData>, StreamError> {
        match self.next().await? {
            None => Ok(None),
            Some(Message::Audio(audio)) => Ok(Some(audio)),
            Some(Message::Header(_)) => Err(StreamError::invalid("header", "comes a second time")),
        }
    }
}

impl Messages {
    async fn next(&mut self) -> Result<Option<Message>, StreamError> {
        match self.0.message().await {
            Ok(None) => {
                // A stream that the caller reset ends like one that the caller closed. But the server drops a call that
                // was reset as soon as it waits for something: if this goes on, the stream was closed.
                tokio::task::yield_now().await;
                Ok(None)
            }
            Ok(Some(RecordAudioRequest { message: Some(message) })) => Ok(Some(message)),
            Ok(Some(RecordAudioRequest { message: None })) => {
                Err(StreamError::invalid("message", "is neither a header nor audio"))
            }
            // What the decoder says of a message that is larger than the configuration allows.
            Err(error) if error.code() == Code::OutOfRange => {
                Err(StreamError::invalid("audio.data", "is larger than a message may be"))
            }
            Err(error) => {
                tracing::debug!(%error, "the caller's stream broke");
                Err(StreamError::Broken)
            }
        }
    }
}
