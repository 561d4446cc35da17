//! Segments: parts of a rendition that are rendered while the recording is open.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{NodeId, RecordingId, named::named};

named! {
    /// The state of a segment.
    SegmentState, "segment state" {
        /// Its interval is recorded; it waits for the follower.
        Queued = "QUEUED",
        /// The follower renders it.
        InProgress = "IN_PROGRESS",
        /// Rendered; it waits for the end of the recording.
        Done = "DONE",
        /// The follower crashed. The segment is rendered again, or the whole rendition is when the recording has ended.
        Failed = "FAILED",
    }
}

/// A segment: one interval of a rendition that is rendered while its recording is open. It is a temporary file: when the
/// recording ends, its segments are joined to the rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The recording.
    pub recording: RecordingId,
    /// The parameters of the rendition that it belongs to.
    pub parameters: String,
    /// Its index, from 0.
    pub number: u32,
    /// The node that has its file.
    pub node: NodeId,
    /// Its state.
    pub state: SegmentState,
    /// Its start on the recording's timeline.
    pub start: Duration,
    /// Its media duration.
    pub duration: Duration,
    /// Size of its interval in the recording's file, in bytes.
    pub media_bytes: u64,
    /// The size of its file in bytes; zero until it is DONE.
    pub bytes: u64,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// When its interval was recorded.
    pub created_at: DateTime<Utc>,
}
