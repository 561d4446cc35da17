//! Renditions as they are requested, and the rows that the store has of them.

use model::{AudioResult, MediaKind, Recording, Rendition as Row, TenantId};
use sha2::{Digest as _, Sha256};
use store::NewRendition;
use transcode::{Mp3, OggOpus, Rendition, RequestedRendition, TrackOfRecording, Wav};

use crate::config::DefaultRendition;

/// Why a rendition can't be made of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It has no file: it is still open, or it received no media.
    NoFile,
    /// It lacks the media that the rendition is made of.
    Tracks(transcode::Unfit),
    /// A fault of this program.
    Unwritable(String),
}

impl From<transcode::Unfit> for Unfit {
    fn from(unfit: transcode::Unfit) -> Self {
        Self::Tracks(unfit)
    }
}

/// The row of a rendition of a recording. The object's key follows from the recording and the parameters alone.
pub(crate) fn new_rendition(recording: &Recording, rendition: &Rendition) -> Result<NewRendition, Unfit> {
    let key = recording.object_key.as_deref().filter(|_| recording.container.is_some());
    let key = key.ok_or(Unfit::NoFile)?;
    // The tracks of a recording that a crash interrupted may be unknown.
    if !recording.tracks.is_empty() {
        let kinds: Vec<_> = tracks(recording).into_iter().map(|track| track.kind).collect();
        rendition.check_tracks(&kinds)?;
    }
    let parameters = parameters(rendition)?;
    let sum = Sha256::digest(parameters.as_bytes());
    let sum: String = sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let (kind, file) = (rendition.kind().name(), rendition.file_type());
    Ok(NewRendition {
        kind: kind.to_owned(),
        object_key: Row::object_key(key, &format!("{kind}-{sum}"), file.extension()),
        content_type: file.content_type().to_owned(),
        parameters,
    })
}

/// The parameters as the store holds them. Renditions with equal text are the same.
pub(crate) fn parameters(rendition: &Rendition) -> Result<String, Unfit> {
    serde_json::to_string(rendition).map_err(|error| Unfit::Unwritable(error.to_string()))
}

/// The requested rendition of this recording.
pub(crate) fn resolve(recording: &Recording, requested: &RequestedRendition) -> Result<Rendition, Unfit> {
    Ok(requested.resolve(&tracks(recording))?)
}

fn tracks(recording: &Recording) -> Vec<TrackOfRecording> {
    let kind = |kind| match kind {
        MediaKind::Audio => transcode::MediaKind::Audio,
        MediaKind::Video => transcode::MediaKind::Video,
    };
    let tracks = recording.tracks.iter();
    tracks.map(|track| TrackOfRecording { number: track.number, kind: kind(track.kind) }).collect()
}

/// The rendition that a source of audio requests.
pub(crate) fn of_source(result: AudioResult) -> Rendition {
    match result {
        AudioResult::Wav => Wav::default().into(),
        AudioResult::Opus => OggOpus::default().into(),
        AudioResult::Mp3 => Mp3::default().into(),
    }
}

/// The renditions of a recording that has ended: those that its source requested, then the default renditions of its
/// tenant. A rendition that can't be made of it is left out.
pub(crate) fn of_recording(recording: &Recording, defaults: &[DefaultRendition]) -> Vec<NewRendition> {
    let concerns =
        |tenant: &Option<TenantId>| tenant.as_ref().is_none_or(|tenant| *tenant == recording.tenant);
    let defaults = defaults.iter().filter(|default| concerns(&default.tenant));
    let defaults = defaults.map(|default| resolve(recording, &default.rendition));
    let of_source = recording.results.iter().map(|result| Ok(of_source(*result)));
    let mut all: Vec<NewRendition> = Vec::new();
    for rendition in of_source.chain(defaults) {
        match rendition.and_then(|rendition| new_rendition(recording, &rendition)) {
            Ok(new) if !all.contains(&new) => all.push(new),
            Ok(_) => {}
            Err(unfit) => {
                tracing::debug!(recording_id = %recording.id, ?unfit, "a requested rendition doesn't fit the recording");
            }
        }
    }
    all
}
