//! One recording through the gRPC service: what a client does with its offers and answers.

use proto::{
    storage::UploadFileChannel,
    webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest},
};
use thiserror::Error;
use tonic::Status;

use crate::{
    recorder::Client,
    sender::{SenderError, Session, Track},
};

/// Why a call failed.
#[derive(Debug, Error)]
pub enum CallError {
    /// The recorder returned an error status.
    #[error("the recorder answered {0}")]
    Recorder(#[from] Box<Status>),
    /// The sender can't use the answer.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

/// A recording that has been begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The session's id, later the recording's.
    pub id: String,
}

/// The request of a client that sets nothing but its offer.
#[must_use]
pub fn upload_request(sdp_offer: String, name: &str) -> UploadP2pVideoRequest {
    UploadP2pVideoRequest {
        sdp_offer,
        name: name.into(),
        uuid: format!("test-{name}"),
        ice_servers: Vec::new(),
        channel: UploadFileChannel::CallChannel.into(),
    }
}

impl Call {
    /// Begins to record `session`, which then connects and plays by itself.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn begin(client: &mut Client, session: &Session, name: &str) -> Result<Self, CallError> {
        let request = upload_request(session.offer().await?, name);
        let response = client.upload_p2p_video(request).await.map_err(Box::new)?.into_inner();
        session.accept_answer(response.sdp_answer).await?;
        Ok(Self { id: response.id })
    }

    /// Adds a track by renegotiation.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn add(&self, client: &mut Client, session: &Session, track: Track) -> Result<(), CallError> {
        let sdp_offer = session.offer_more(track).await?;
        let request = RenegotiateP2pVideoRequest { id: self.id.clone(), sdp_offer };
        let response = client.renegotiate_p2p_video(request).await.map_err(Box::new)?.into_inner();
        Ok(session.accept_answer(response.sdp_answer).await?)
    }

    /// Ends the recording; returns when it is finalized.
    ///
    /// # Errors
    /// The recorder's status.
    pub async fn stop(&self, client: &mut Client) -> Result<(), CallError> {
        let request = StopP2pVideoRequest { id: self.id.clone() };
        client.stop_p2p_video(request).await.map_err(Box::new)?;
        Ok(())
    }
}
