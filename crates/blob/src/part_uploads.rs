//! Objects that are sent part by part while their file still grows.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{BlobError, FileDigest, ObjectInfo};

/// Where a part lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRange {
    /// From 1.
    pub number: u32,
    /// Its first byte.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl PartRange {
    /// The first byte behind it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// What a part's content must be when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartDigest {
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-256, where the store checks those.
    pub sha256: Option<[u8; 32]>,
}

/// A part that the store has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    /// Where it lies.
    pub range: PartRange,
    /// What was sent.
    pub digest: PartDigest,
    /// The tag by which the store knows it.
    pub etag: String,
}

/// An upload that was begun and is neither complete nor aborted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OpenUpload {
    /// The key that the object will have.
    pub key: String,
    /// The store's name for the upload.
    pub id: String,
}

/// A part's bytes, on the local disk.
#[derive(Debug, Clone, Copy)]
pub struct FilePart<'a> {
    /// The file. Within the range it must not change until the part is sent.
    pub path: &'a Path,
    /// Which bytes.
    pub range: PartRange,
}

/// A store that takes an object in parts, in any order, over any time: S3's multipart upload. A part that is sent again
/// replaces the one before. The object appears when the upload is completed, and not before.
///
/// Whoever drops a future of these leaves it open whether the store has done what was asked.
#[async_trait::async_trait]
pub trait PartUploads: Send + Sync + std::fmt::Debug {
    /// Where part `number` (from 1) lies in a file that is large enough. The parts cover the file without a gap; all
    /// but the last are sent whole.
    fn range(&self, number: u32) -> PartRange;

    /// Begins an upload.
    ///
    /// # Errors
    /// [`BlobError`]; whether it is worth repeating says [`BlobError::is_transient`].
    async fn begin(&self, key: &str, content_type: &str) -> Result<OpenUpload, BlobError>;

    /// Reads ranges of a file and digests each.
    ///
    /// # Errors
    /// `Source` if the file can't be read or ends earlier, `Cancelled`.
    async fn digest(
        &self,
        path: &Path,
        ranges: &[PartRange],
        cancel: &CancellationToken,
    ) -> Result<Vec<PartDigest>, BlobError>;

    /// Reads ranges that cover a file in order, and digests each and all of them together.
    ///
    /// # Errors
    /// As above.
    async fn digest_file(
        &self,
        path: &Path,
        ranges: &[PartRange],
        cancel: &CancellationToken,
    ) -> Result<(FileDigest, Vec<PartDigest>), BlobError>;

    /// Sends a part. The store has compared what arrived with its digest.
    ///
    /// # Errors
    /// `NoUpload` if it was completed or aborted; or as above.
    async fn send(
        &self,
        upload: &OpenUpload,
        part: FilePart<'_>,
        cancel: &CancellationToken,
    ) -> Result<SentPart, BlobError>;

    /// Makes the parts, in the order of their numbers, the object.
    ///
    /// # Errors
    /// `NoUpload` if it was completed or aborted before: [`confirm`](Self::confirm) tells which; or as above.
    async fn complete(&self, upload: &OpenUpload, parts: &[SentPart]) -> Result<(), BlobError>;

    /// Asks the store whether the object is made of exactly these parts. It is read back only where nothing less tells.
    ///
    /// # Errors
    /// `NotFound`; `Mismatch` if it is another; or as above.
    async fn confirm(&self, key: &str, parts: &[SentPart]) -> Result<ObjectInfo, BlobError>;

    /// Drops an upload with its parts. One that is not there is fine.
    ///
    /// # Errors
    /// As above.
    async fn abort(&self, upload: &OpenUpload) -> Result<(), BlobError>;

    /// The uploads that are open, to keys that begin with `prefix`.
    ///
    /// # Errors
    /// `Refused` where that is not permitted; or as above.
    async fn open(&self, prefix: &str) -> Result<Vec<OpenUpload>, BlobError>;
}
