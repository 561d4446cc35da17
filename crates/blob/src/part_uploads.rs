//! Uploads of open files, part by part.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{BlobError, FileDigest, ObjectInfo};

/// The range of a part in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRange {
    /// The part number, from 1.
    pub number: u32,
    /// The position of its first byte.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl PartRange {
    /// The position after its last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// The digests by which the store verifies a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartDigest {
    /// MD5 of its bytes.
    pub md5: [u8; 16],
    /// SHA-256 of its bytes; none if the store does not verify SHA-256.
    pub sha256: Option<[u8; 32]>,
}

/// A part that the store has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    /// Its range in the file.
    pub range: PartRange,
    /// Its digests.
    pub digest: PartDigest,
    /// The ETag that the store returned.
    pub etag: String,
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OpenUpload {
    /// The key that the object will have.
    pub key: String,
    /// The upload id that the store assigned.
    pub id: String,
}

/// The bytes of a part in a local file.
#[derive(Debug, Clone, Copy)]
pub struct FilePart<'a> {
    /// The file. Its bytes in the range must not change until the part is sent.
    pub path: &'a Path,
    /// The range.
    pub range: PartRange,
}

/// S3's multipart uploads: parts are sent in any order, and a part that is sent again replaces the one before. The object
/// appears when the upload is completed.
///
/// If a future is dropped, the store may or may not have executed the request.
#[async_trait::async_trait]
pub trait PartUploads: Send + Sync + std::fmt::Debug {
    /// The range of part `number` (from 1) in a file that is large enough. The ranges cover the file without a gap. Only the
    /// last part may be shorter than its range.
    fn range(&self, number: u32) -> PartRange;

    /// Begins an upload.
    ///
    /// # Errors
    /// Any [`BlobError`]. [`BlobError::is_transient`] returns whether the call may succeed later.
    async fn begin(&self, key: &str, content_type: &str) -> Result<OpenUpload, BlobError>;

    /// The digests of ranges of a file.
    ///
    /// # Errors
    /// `Source` if the file can't be read or is shorter; `Cancelled`.
    async fn digest(
        &self,
        path: &Path,
        ranges: &[PartRange],
        cancel: &CancellationToken,
    ) -> Result<Vec<PartDigest>, BlobError>;

    /// The digest of a whole file, and those of ranges that cover it in order, in one pass.
    ///
    /// # Errors
    /// As [`digest`](Self::digest).
    async fn digest_file(
        &self,
        path: &Path,
        ranges: &[PartRange],
        cancel: &CancellationToken,
    ) -> Result<(FileDigest, Vec<PartDigest>), BlobError>;

    /// Sends a part, which the store verifies by its digests.
    ///
    /// # Errors
    /// `NoUpload` if the upload was completed or aborted; otherwise as [`begin`](Self::begin).
    async fn send(
        &self,
        upload: &OpenUpload,
        part: FilePart<'_>,
        cancel: &CancellationToken,
    ) -> Result<SentPart, BlobError>;

    /// Completes the upload: the parts, in the order of their numbers, become the object.
    ///
    /// # Errors
    /// `NoUpload` if it was completed or aborted before ([`confirm`](Self::confirm) shows which); otherwise as
    /// [`begin`](Self::begin).
    async fn complete(&self, upload: &OpenUpload, parts: &[SentPart]) -> Result<(), BlobError>;

    /// Verifies that the object consists of exactly these parts. Reads the object back only if nothing else proves it.
    ///
    /// # Errors
    /// `NotFound`; `Mismatch` if the object differs; otherwise as [`begin`](Self::begin).
    async fn confirm(&self, key: &str, parts: &[SentPart]) -> Result<ObjectInfo, BlobError>;

    /// Aborts an upload and removes its parts. A missing upload is not an error.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    async fn abort(&self, upload: &OpenUpload) -> Result<(), BlobError>;

    /// The open uploads to keys that begin with `prefix`.
    ///
    /// # Errors
    /// `Refused` if the credentials may not list uploads; otherwise as [`begin`](Self::begin).
    async fn open(&self, prefix: &str) -> Result<Vec<OpenUpload>, BlobError>;
}
