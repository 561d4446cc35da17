//! Renditions, asked for.

use model::{JobKind, MediaKind, Recording, RecordingId};
use proto::recorder::v1::{self as pb, rendition_spec::Kind};
use store::StoreError;
use transcode::{Rendition, StemFormat};

use super::{Api, ApiError};
use crate::{
    auth::Caller,
    renditions::{Unfit, new_rendition},
    wire,
};

impl Api {
    /// Asks for a rendition of a recording.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Precondition`, `Store`.
    pub async fn create_rendition(
        &self,
        caller: &Caller,
        request: pb::CreateRenditionRequest,
    ) -> Result<pb::CreateRenditionResponse, ApiError> {
        let id: RecordingId =
            request.recording_id.parse().map_err(|_| ApiError::invalid("recording_id", "must be a UUID"))?;
        let spec = request.spec.ok_or_else(|| ApiError::invalid("spec", "is missing"))?;
        let rendition = wire::asked_rendition(&spec).map_err(|problem| ApiError::Invalid(vec![problem]))?;
        let recording = self.recording(caller, id).await?;
        let rendition = at_its_place(rendition, &spec, &recording)?;
        let new = new_rendition(&recording, &rendition).map_err(|unfit| refused(unfit, &recording))?;
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

/// A stem names its track by number; it is made by its place in the file. One of video that names no format is WebM.
fn at_its_place(
    rendition: Rendition,
    spec: &pb::RenditionSpec,
    recording: &Recording,
) -> Result<Rendition, ApiError> {
    let (Rendition::Stem { format, .. }, Some(Kind::Stem(asked))) = (&rendition, &spec.kind) else {
        return Ok(rendition);
    };
    if recording.tracks.is_empty() {
        return Ok(rendition);
    }
    let track =
        recording.tracks.iter().enumerate().find(|(_, track)| wire::count32(track.number) == asked.track);
    let Some((place, track)) = track else {
        let problem = format!("the recording has no track {}", asked.track);
        return Err(ApiError::invalid("spec.stem.track", problem));
    };
    let is_open = asked.format() == pb::StemFormat::Unspecified;
    let format = if is_open && track.kind == MediaKind::Video { StemFormat::Webm } else { *format };
    Ok(Rendition::Stem { track: u32::try_from(place).unwrap_or(u32::MAX), format })
}

fn refused(unfit: Unfit, recording: &Recording) -> ApiError {
    match unfit {
        Unfit::NoFile => {
            ApiError::Store(StoreError::WrongState { what: "recording", state: state(recording) })
        }
        Unfit::Lacks(what) => ApiError::Precondition {
            reason: "NO_SUCH_MEDIA",
            problem: format!("the recording has no {what} to make this of"),
        },
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
