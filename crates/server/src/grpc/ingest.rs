//! `recorder.v1.IngestService`.

use proto::recorder::v1::{
    AudioData, AudioHeader, RecordAudioRequest, RecordAudioResponse, ingest_service_server::IngestService,
    record_audio_request::Message,
};
use tonic::{Code, Request, Response, Status, Streaming};

use super::Rpc;
use crate::{
    api::{Api, AudioStream, StreamError},
    calls::Method,
    error::ApiError,
};

#[tonic::async_trait]
impl IngestService for Rpc {
    async fn record_audio(
        &self,
        request: Request<Streaming<RecordAudioRequest>>,
    ) -> Result<Response<RecordAudioResponse>, Status> {
        self.call(Method::RecordAudio, request.map(Messages), Api::record_audio).await
    }
}

struct Messages(Streaming<RecordAudioRequest>);

impl AudioStream for Messages {
    async fn header(&mut self) -> Result<AudioHeader, ApiError> {
        match self.next().await {
            Ok(Some(Message::Header(header))) => Ok(header),
            Ok(_) => Err(ApiError::invalid("header", "is not the first message")),
            Err(StreamError::Broken) => Err(ApiError::invalid("header", "was not received")),
            Err(StreamError::Invalid(violation)) => Err(ApiError::Invalid(vec![violation])),
        }
    }

    async fn audio(&mut self) -> Result<Option<AudioData>, StreamError> {
        match self.next().await? {
            None => Ok(None),
            Some(Message::Audio(audio)) => Ok(Some(audio)),
            Some(Message::Header(_)) => Err(StreamError::invalid("header", "was sent a second time")),
        }
    }
}

impl Messages {
    async fn next(&mut self) -> Result<Option<Message>, StreamError> {
        match self.0.message().await {
            Ok(None) => {
                // tonic reports a stream that the caller reset like one that the caller closed. After a reset the server
                // drops this call at its next await, so execution continues only if the stream was closed.
                tokio::task::yield_now().await;
                Ok(None)
            }
            Ok(Some(RecordAudioRequest { message: Some(message) })) => Ok(Some(message)),
            Ok(Some(RecordAudioRequest { message: None })) => {
                Err(StreamError::invalid("message", "is neither a header nor audio"))
            }
            // tonic's decoder reports a message above max_decoding_message_size with this code.
            Err(error) if error.code() == Code::OutOfRange => {
                Err(StreamError::invalid("audio.data", "is larger than a message may be"))
            }
            Err(error) => {
                tracing::debug!(%error, "audio stream broke");
                Err(StreamError::Broken)
            }
        }
    }
}
