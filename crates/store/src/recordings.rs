//! Lists of recordings.

use chrono::{DateTime, Utc};
use model::{Recording, RecordingId, RecordingState, Source};

/// What to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordingFilter {
    /// With exactly this name.
    pub name: Option<String>,
    /// With exactly this correlation id.
    pub correlation_id: Option<String>,
    /// In this state; none: in any but DELETED.
    pub state: Option<RecordingState>,
    /// From this source.
    pub source: Option<Source>,
    /// Begun at or after this.
    pub started_from: Option<DateTime<Utc>>,
    /// Begun before this.
    pub started_until: Option<DateTime<Utc>>,
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The recordings, with their tracks.
    pub recordings: Vec<Recording>,
    /// Where the next page begins: pass it as `after`. None on the last.
    pub next: Option<(DateTime<Utc>, RecordingId)>,
}
