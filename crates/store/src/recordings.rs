//! Lists of recordings.

use chrono::{DateTime, Utc};
use model::{Recording, RecordingId, RecordingState, Source};

/// Conditions of a list of recordings; all must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordingFilter {
    /// The name is exactly this.
    pub name: Option<String>,
    /// The correlation id is exactly this.
    pub correlation_id: Option<String>,
    /// The state; none: any but DELETED.
    pub state: Option<RecordingState>,
    /// The source.
    pub source: Option<Source>,
    /// The session began at or after this time.
    pub started_from: Option<DateTime<Utc>>,
    /// The session began before this time.
    pub started_until: Option<DateTime<Utc>>,
}

/// One page of a list of recordings, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The recordings, with their tracks.
    pub recordings: Vec<Recording>,
    /// The position of the next page, for the argument `after`. None on the last page.
    pub next: Option<(DateTime<Utc>, RecordingId)>,
}
