//! `CreateRendition`.

use model::{JobKind, Recording};
use proto::recorder::v1 as pb;
use store::StoreError;
use transcode::MediaKind;

use super::{Api, check};
use crate::{
    auth::Caller,
    error::ApiError,
    renditions::{Unfit, new_rendition, resolve},
    wire,
};

impl Api {
    /// Requests a rendition of a recording. Requesting it again returns the existing one.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Precondition`, `Store`.
    pub async fn create_rendition(
        &self,
        caller: &Caller,
        request: pb::CreateRenditionRequest,
    ) -> Result<pb::CreateRenditionResponse, ApiError> {
        let id = check::recording_id("recording_id", &request.recording_id)?;
        let spec = request.spec.ok_or_else(|| ApiError::invalid("spec", "is missing"))?;
        let requested =
            wire::requested_rendition(&spec).map_err(|problem| ApiError::Invalid(vec![problem]))?;
        let recording = self.recording(caller, id).await?;
        let new = resolve(&recording, &requested)
            .and_then(|rendition| new_rendition(&recording, &rendition))
            .map_err(|unfit| refused(unfit, &recording))?;
        let created = match self.store.create_rendition(&caller.tenant, id, &new).await {
            Err(StoreError::NotFound { .. }) => return Err(ApiError::NotFound(id.to_string())),
            created => created?,
        };
        if created.job.is_some() {
            jobs::count_enqueued(JobKind::Render, 1);
        }
        Ok(pb::CreateRenditionResponse {
            rendition: Some(wire::rendition(&created.rendition)),
            created: created.job.is_some(),
        })
    }
}

fn refused(unfit: Unfit, recording: &Recording) -> ApiError {
    match unfit {
        Unfit::NoFile => {
            ApiError::Store(StoreError::WrongState { what: "recording", state: state(recording) })
        }
        Unfit::Tracks(transcode::Unfit::Lacks(kind)) => {
            let kind = match kind {
                MediaKind::Audio => "sound",
                MediaKind::Video => "video",
            };
            ApiError::Precondition {
                reason: "NO_SUCH_MEDIA",
                problem: format!("the recording has no {kind}, which this rendition needs"),
            }
        }
        Unfit::Tracks(transcode::Unfit::NoTrack(number)) => {
            ApiError::invalid("spec.stem.track", format!("the recording has no track {number}"))
        }
        Unfit::Tracks(transcode::Unfit::AudioFormat) => {
            ApiError::invalid("spec.stem.format", "must be MP4 or WEBM for a video track")
        }
        Unfit::Unwritable(error) => ApiError::Internal(error),
    }
}

fn state(recording: &Recording) -> &'static str {
    if recording.ended_at.is_some() && recording.container.is_none() {
        "without media"
    } else {
        recording.state.as_str()
    }
}
