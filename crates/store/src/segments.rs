//! Segments: what a back end does for them.

use chrono::{DateTime, Utc};
use model::{RecordingId, Segment, TenantId};

use crate::StoreError;

/// Segments. Their rows only tell: whoever makes a segment knows by itself how far it is.
#[async_trait::async_trait]
pub trait Segments: Send + Sync {
    /// Writes down a segment, in place of what was said of it before.
    ///
    /// # Errors
    /// `NotFound` if there is no such recording; `Unavailable`.
    async fn note_segment(&self, segment: &Segment) -> Result<(), StoreError>;

    /// All segments of a rendition are to be made anew. What was IN_PROGRESS has FAILED if an error is given; the others
    /// are QUEUED.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn begin_segments_again(
        &self,
        recording: RecordingId,
        parameters: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError>;

    /// The segments of the tenant's recording, by rendition, in order.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn segments_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Segment>, StoreError>;

    /// Forgets the segments of a rendition: they have been joined, or are not needed.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_segments(&self, recording: RecordingId, parameters: &str) -> Result<(), StoreError>;

    /// Forgets segments of all recordings that ended before this. Returns how many there were.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_old_segments(&self, before: DateTime<Utc>) -> Result<u64, StoreError>;
}
