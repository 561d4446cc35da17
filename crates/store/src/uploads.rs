//! The journal of uploads that begin while their file still grows.

use std::time::Duration;

use model::{Container, NodeId, RecordingId, RecordingState, TenantId};
use uuid::Uuid;

use crate::{NewRendition, StoreError};

/// An upload that was begun for a recording; one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The recording.
    pub recording: RecordingId,
    /// The node that has the file.
    pub node: NodeId,
    /// The object's key, for the file format below.
    pub key: String,
    /// The object store's name for the upload.
    pub id: String,
    /// The file format as it was when the upload began.
    pub container: Container,
    /// Whether another node completed it with what was there.
    pub rescued: bool,
}

/// A part that the object store has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    /// From 1.
    pub number: u32,
    /// Its first byte in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// MD5 of what was sent.
    pub md5: [u8; 16],
    /// SHA-256 of what was sent, where the object store checks those.
    pub sha256: Option<[u8; 32]>,
    /// The tag by which the object store knows it.
    pub etag: String,
    /// Whether it holds what is still going to change, so that it will be sent once more.
    pub provisional: bool,
    /// The run of the process that sent it.
    pub run: Uuid,
}

/// An upload and the recording that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// The upload.
    pub upload: Upload,
    /// Whose recording it is.
    pub tenant: TenantId,
    /// How far the recording has come.
    pub state: RecordingState,
    /// Where its row says that the object is or will be; none while it records, or if it has no media.
    pub object_key: Option<String>,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Its size, once it is sealed.
    pub bytes: u64,
}

/// The journal of uploads.
#[async_trait::async_trait]
pub trait Uploads: Send + Sync {
    /// Writes down an upload that was begun. Repeating it changes nothing.
    ///
    /// # Errors
    /// `Conflict` if another upload of the recording is written down; `NotFound` if there is no such recording;
    /// `Unavailable`.
    async fn begin_upload(&self, upload: &Upload) -> Result<(), StoreError>;

    /// Writes down a part, in place of an earlier one of its number.
    ///
    /// # Errors
    /// `NotFound` if this upload is not, or no longer, written down; `Unavailable`.
    async fn note_part(
        &self,
        recording: RecordingId,
        upload_id: &str,
        part: &UploadPart,
    ) -> Result<(), StoreError>;

    /// The recording's upload and its parts by number, if there is one.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn upload_of(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError>;

    /// Forgets an upload and its parts. If it had been rescued, what the rescue said is missing is taken back, and the
    /// renditions that were made without that are made anew, as after [`rescue`](Self::rescue). One that is not written
    /// down is fine.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_upload(&self, recording: RecordingId, upload_id: &str) -> Result<(), StoreError>;

    /// The uploads of recordings that `node` has the files of.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn uploads_on(&self, node: &NodeId) -> Result<Vec<UploadStatus>, StoreError>;

    /// The uploads that were not rescued yet, of nodes that have said nothing for so long.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn lost_uploads(&self, silent_for: Duration) -> Result<Vec<UploadStatus>, StoreError>;

    /// Writes down that the object now holds the first `bytes` of the recording and will stay so unless its node comes
    /// back: AVAILABLE, its error telling what is missing, if anything is; a session that was live is closed as `CRASH`. In
    /// the same transaction those of `renditions` that there aren't are written down with their jobs, and any node may
    /// make these and what waited for the lost one. Returns whether it was written, which it is once.
    ///
    /// Whoever seals such a session later still does, unless the recording was deleted meanwhile. All its renditions but
    /// those that were cancelled or deleted are then made anew, by new jobs; earlier jobs that are not done are CANCELLED.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn rescue(
        &self,
        upload: &Upload,
        bytes: u64,
        missing: Option<&str>,
        renditions: &[NewRendition],
    ) -> Result<bool, StoreError>;

    /// The node that received a recording, of whatever tenant; none if there is no such recording.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn owner(&self, recording: RecordingId) -> Result<Option<NodeId>, StoreError>;
}
