//! Rows of `renditions`.

use chrono::{DateTime, Utc};
use model::Rendition;
use uuid::Uuid;

use super::{duration, known, unsigned};
use crate::StoreError;

/// A row of `renditions`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `renditions`, see the migrations")]
pub struct RenditionRow {
    pub id: Uuid,
    pub recording: Uuid,
    pub tenant: String,
    pub kind: String,
    pub parameters: String,
    pub state: String,
    pub job: Uuid,
    pub object_key: String,
    pub content_type: String,
    pub bytes: i64,
    pub duration_ns: i64,
    pub width: i64,
    pub height: i64,
    pub sha256: Option<String>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ready_at: Option<DateTime<Utc>>,
}

impl RenditionRow {
    /// The rendition.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<Rendition, StoreError> {
        Ok(Rendition {
            id: self.id.into(),
            recording: self.recording.into(),
            tenant: known(&self.tenant)?,
            kind: self.kind,
            parameters: self.parameters,
            state: known(&self.state)?,
            job: self.job.into(),
            object_key: self.object_key,
            content_type: self.content_type,
            bytes: unsigned(self.bytes, "bytes")?,
            duration: duration(self.duration_ns)?,
            width: unsigned(self.width, "width")?,
            height: unsigned(self.height, "height")?,
            sha256: self.sha256,
            error: self.error,
            created_at: self.created_at,
            ready_at: self.ready_at,
        })
    }
}
