//! `CreateRendition`.

use model::{JobKind, MediaKind, Recording};
use proto::recorder::v1::{self as pb, rendition_spec::Kind};
use store::StoreError;
use transcode::{Rendition, StemFormat};

use super::{Api, check};
use crate::{
    auth::Caller,
    error::ApiError,
    renditions::{Unfit, in_place, new_rendition},
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
        let rendition = wire::asked_rendition(&spec).map_err(|problem| ApiError::Invalid(vec![problem]))?;
        let recording = self.recording(caller, id).await?;
        let new = in_place(&recording, rendition)
            .map(|rendition| with_format(rendition, &spec, &recording))
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

/// The default format of a video stem is `WebM`.
fn with_format(rendition: Rendition, spec: &pb::RenditionSpec, recording: &Recording) -> Rendition {
    let (Rendition::Stem { track, .. }, Some(Kind::Stem(asked))) = (&rendition, &spec.kind) else {
        return rendition;
    };
    let is_video = recording.tracks.get(*track as usize).is_some_and(|track| track.kind == MediaKind::Video);
    if is_video && asked.format() == pb::StemFormat::Unspecified {
        return Rendition::Stem { track: *track, format: StemFormat::Webm };
    }
    rendition
}

fn refused(unfit: Unfit, recording: &Recording) -> ApiError {
    match unfit {
        Unfit::NoFile => {
            ApiError::Store(StoreError::WrongState { what: "recording", state: state(recording) })
        }
        Unfit::Lacks(what) => ApiError::Precondition {
            reason: "NO_SUCH_MEDIA",
            problem: format!("the recording has no {what}, which this rendition needs"),
        },
        Unfit::NoTrack(number) => {
            ApiError::invalid("spec.stem.track", format!("the recording has no track {number}"))
        }
        Unfit::SoundFormat => ApiError::invalid("spec.stem.format", "must be MP4 or WEBM for a video track"),
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
