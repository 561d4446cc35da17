//! Pieces of a rendition that is made while its recording goes on.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{NodeId, RecordingId, recording::named};

named! {
    /// How far a segment has come.
    SegmentState, "segment state" {
        /// Recorded, and waiting to be made.
        Queued = "QUEUED",
        /// Being made.
        InProgress = "IN_PROGRESS",
        /// Made, and waiting for the end of the recording.
        Done = "DONE",
        /// What made it died; it will be made again, or the rendition is made as a whole when the recording has ended.
        Failed = "FAILED",
    }
}

/// A segment: what is made of one interval of a recording before the recording ends. Segments are temporary: at the end
/// they are joined into the rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The recording.
    pub recording: RecordingId,
    /// The rendition that it is a piece of: its parameters.
    pub parameters: String,
    /// Its place, from 0.
    pub number: u32,
    /// The node that has its file.
    pub node: NodeId,
    /// How far it has come.
    pub state: SegmentState,
    /// Where it begins on the recording's timeline.
    pub start: Duration,
    /// How long it is.
    pub duration: Duration,
    /// Bytes of the recording that came in its time.
    pub media_bytes: u64,
    /// The size of its file; zero until it is DONE.
    pub bytes: u64,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// When its interval had been recorded.
    pub created_at: DateTime<Utc>,
}
