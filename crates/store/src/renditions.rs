//! Renditions: what a back end does for them.

use std::time::Duration;

use model::{JobId, RecordingId, Rendition, RenditionId, TenantId};

use crate::StoreError;

/// A rendition that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRendition {
    /// What it is, such as `mp4`.
    pub kind: String,
    /// Everything that it is made by, as JSON in its canonical form.
    pub parameters: String,
    /// Where its file will be.
    pub object_key: String,
    /// The file's media type.
    pub content_type: String,
}

/// What a job says that was to make a rendition of a file that another has taken the place of.
pub const REQUEUED: &str = "the rest of the recording has come: another job makes it of the whole";

/// What a run has made.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedFile {
    /// The file's size in bytes.
    pub bytes: u64,
    /// The media's duration.
    pub duration: Duration,
    /// Pixels; zero for sound.
    pub width: u32,
    /// Pixels; zero for sound.
    pub height: u32,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// What [`Renditions::create_rendition`] did.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The rendition, as it is now.
    pub rendition: Rendition,
    /// The job that was made now; none where the rendition was there already.
    pub job: Option<JobId>,
}

/// Renditions.
#[async_trait::async_trait]
pub trait Renditions: Send + Sync {
    /// Asks for a rendition of the tenant's recording and makes its job: for the node that has the file while the
    /// object store doesn't have it yet, else for any. One with the same parameters that is there already is returned
    /// as it is, unless it was cancelled or deleted: then it is made again, and a DELETE job that waits to remove its
    /// former file is given up.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` if the recording is live, has no media, or was deleted.
    async fn create_rendition(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
        new: &NewRendition,
    ) -> Result<Created, StoreError>;

    /// The tenant's rendition.
    ///
    /// # Errors
    /// `NotFound`.
    async fn rendition(&self, tenant: &TenantId, id: RenditionId) -> Result<Rendition, StoreError>;

    /// Renditions of the tenant's recording, oldest first, deleted ones too.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn renditions_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError>;
}
