//! Rows of `segments`.

use chrono::{DateTime, Utc};
use model::Segment;
use uuid::Uuid;

use super::{count, duration, known, nanoseconds, text, unsigned};
use crate::StoreError;

/// A row of `segments`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `segments`, see the migrations")]
pub struct SegmentRow {
    pub recording: Uuid,
    pub parameters: String,
    pub number: i64,
    pub node: String,
    pub state: String,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub media_bytes: i64,
    pub bytes: i64,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl From<&Segment> for SegmentRow {
    fn from(segment: &Segment) -> Self {
        Self {
            recording: segment.recording.as_uuid(),
            parameters: text(&segment.parameters).into_owned(),
            number: segment.number.into(),
            node: segment.node.to_string(),
            state: segment.state.to_string(),
            start_ns: nanoseconds(segment.start),
            duration_ns: nanoseconds(segment.duration),
            media_bytes: count(segment.media_bytes),
            bytes: count(segment.bytes),
            error: segment.error.as_deref().map(|error| text(error).into_owned()),
            created_at: segment.created_at,
        }
    }
}

impl SegmentRow {
    /// The segment.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<Segment, StoreError> {
        Ok(Segment {
            recording: self.recording.into(),
            parameters: self.parameters,
            number: unsigned(self.number, "segment number")?,
            node: known(&self.node)?,
            state: known(&self.state)?,
            start: duration(self.start_ns)?,
            duration: duration(self.duration_ns)?,
            media_bytes: unsigned(self.media_bytes, "media bytes")?,
            bytes: unsigned(self.bytes, "bytes")?,
            error: self.error,
            created_at: self.created_at,
        })
    }
}
