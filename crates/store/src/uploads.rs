//! The journal of uploads that begin while their file still grows.

use model::{Container, NodeId, RecordingId, RecordingState, TenantId};
use uuid::Uuid;

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
