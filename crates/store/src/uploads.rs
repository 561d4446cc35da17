//! The journal of uploads, which begin while their file is open.

use model::{Container, NodeId, RecordingId, RecordingState, TenantId};
use uuid::Uuid;

/// A multipart upload of a recording's file. A recording has at most one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The recording.
    pub recording: RecordingId,
    /// The node with the file.
    pub node: NodeId,
    /// The object key. It depends on `container`.
    pub key: String,
    /// The upload id that the object store assigned.
    pub id: String,
    /// The file format when the upload began.
    pub container: Container,
    /// Whether another node completed the upload with the parts that it had.
    pub rescued: bool,
}

/// A part that the object store has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    /// Its number, from 1.
    pub number: u32,
    /// The position of its first byte in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// MD5 of its bytes.
    pub md5: [u8; 16],
    /// SHA-256 of its bytes; none if the object store does not verify SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// The ETag that the object store returned.
    pub etag: String,
    /// Whether it has bytes that are not final. It is uploaded again at the end.
    pub provisional: bool,
    /// Identifies the run of the process that sent it.
    pub run: Uuid,
}

/// An upload of the journal and the state of its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// The upload.
    pub upload: Upload,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The state of the recording.
    pub state: RecordingState,
    /// The recording's object key; none while its session is live, and if no media arrived.
    pub object_key: Option<String>,
    /// Whether the recording is finalized.
    pub finalized: bool,
    /// The file's size in bytes; zero until it is finalized.
    pub bytes: u64,
}
