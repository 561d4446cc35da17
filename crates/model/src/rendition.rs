//! What is made out of a recording.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{JobId, RecordingId, RenditionId, TenantId, recording::named};

named! {
    /// How far a rendition has come.
    RenditionState, "rendition state" {
        /// Waiting for a worker, for the first time or again.
        Queued = "QUEUED",
        /// Being made.
        InProgress = "IN_PROGRESS",
        /// In the object store, verified.
        Available = "AVAILABLE",
        /// Given up; its error says why. The recording is as it was.
        Parked = "PARKED",
        /// Its job was cancelled before it was done.
        Cancelled = "CANCELLED",
        /// Removed, by itself or with its recording.
        Deleted = "DELETED",
    }
}

/// A rendition: one file that is made out of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// Its id.
    pub id: RenditionId,
    /// The recording that it is made of.
    pub recording: RecordingId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is, such as `mp4`.
    pub kind: String,
    /// Everything that it is made by, as JSON in one canonical form: renditions of one recording with the same text
    /// are the same rendition.
    pub parameters: String,
    /// How far it has come.
    pub state: RenditionState,
    /// The job that makes it, the last one if there were several.
    pub job: JobId,
    /// Where its file is or will be in the object store.
    pub object_key: String,
    /// The file's media type.
    pub content_type: String,
    /// The file's size in bytes; zero until it is available.
    pub bytes: u64,
    /// The media's duration; zero until it is available, and for a picture.
    pub duration: Duration,
    /// Pixels; zero until it is available, and for sound.
    pub width: u32,
    /// Pixels; zero until it is available, and for sound.
    pub height: u32,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// When it was first asked for.
    pub created_at: DateTime<Utc>,
    /// When it became available.
    pub ready_at: Option<DateTime<Utc>>,
}

impl Rendition {
    /// The object key of a rendition's file: `<the recording's key without its format>/<name>.<extension>`.
    ///
    /// `name` has to be made of the kind and the parameters alone: a second run then writes over the first, and no
    /// text that a caller chose becomes a path.
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
    fn a_renditions_file_hangs_below_the_recordings_id() {
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
