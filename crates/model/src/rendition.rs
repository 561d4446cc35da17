//! Renditions: files derived from a recording.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, RecordingId, RenditionId, TenantId, named::named};

named! {
    /// The state of a rendition.
    RenditionState, "rendition state" {
        /// Waiting for a worker, for the first time or again.
        Queued = "QUEUED",
        /// A worker renders it.
        InProgress = "IN_PROGRESS",
        /// Stored in the object store and verified.
        Available = "AVAILABLE",
        /// Its job is parked; the error says why. The recording is not affected.
        Parked = "PARKED",
        /// Its job was cancelled before it was done.
        Cancelled = "CANCELLED",
        /// Deleted, alone or with its recording.
        Deleted = "DELETED",
    }
}

/// A rendition: one file derived from a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// Its id.
    pub id: RenditionId,
    /// The recording that it is derived from.
    pub recording: RecordingId,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// Its kind, such as `mp4`.
    pub kind: String,
    /// All its parameters, as JSON in a canonical form: two renditions of one recording with the same text are the same
    /// rendition.
    pub parameters: String,
    /// Its state.
    pub state: RenditionState,
    /// The job that renders it; the last one if there were several.
    pub job: JobId,
    /// The object key of its file.
    pub object_key: String,
    /// The file's media type.
    pub content_type: String,
    /// The file's size in bytes; zero until it is available.
    pub bytes: u64,
    /// The media duration; zero until it is available, and for a picture.
    pub duration: Duration,
    /// Picture width in pixels; zero until it is available, and for audio.
    pub width: u32,
    /// Picture height in pixels; zero until it is available, and for audio.
    pub height: u32,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// When it was first requested.
    pub created_at: DateTime<Utc>,
    /// When it became available.
    pub ready_at: Option<DateTime<Utc>>,
}

impl Rendition {
    /// The object key of a rendition's file: `<the recording's key without its extension>/<name>.<extension>`.
    ///
    /// `name` must follow from the kind and the parameters only: then a second run replaces the object of the first, and
    /// no text that a caller chose becomes a path.
    #[must_use]
    pub fn object_key(recording_key: &str, name: &str, extension: &str) -> String {
        let (directory, file) = recording_key.rsplit_once('/').unwrap_or(("", recording_key));
        let slash = if directory.is_empty() { "" } else { "/" };
        let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
        format!("{directory}{slash}{stem}/{name}.{extension}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_rendition_is_below_its_recordings_id() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for (recording, want) in [
            (format!("records/2026/03/04/{id}.webm"), format!("records/2026/03/04/{id}/mp3-1.mp3")),
            (format!("a.b/{id}.mkv"), format!("a.b/{id}/mp3-1.mp3")),
            (format!("{id}.webm"), format!("{id}/mp3-1.mp3")),
        ] {
            assert_eq!(Rendition::object_key(&recording, "mp3-1", "mp3"), want);
        }
    }
}
