//! Multipart uploads of open files.

use std::path::Path;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    S3,
    config::MAX_PART_BYTES,
    fingerprint::{Part, checksum_of_parts, digest, etag_of_parts},
    put::cancellable,
    request::{request_span, traced},
};
use crate::{
    BlobError, FileDigest, FilePart, ObjectInfo, ObjectKey, OpenUpload, PartDigest, PartRange, PartUploads,
    SentPart, TARGET,
    digest::{ReadError, blocking, hex, source_error},
};

/// The size of parts doubles after this number of parts. So 10,000 parts, the maximum of an upload, hold more than the
/// largest object, although the size of the file is not known beforehand.
const DOUBLES_AFTER: u32 = 1000;

#[async_trait::async_trait]
impl PartUploads for S3 {
    fn range(&self, number: u32) -> PartRange {
        range(self.config.part_bytes.0, number)
    }

    async fn begin(&self, key: &str, content_type: &str) -> Result<OpenUpload, BlobError> {
        let key: ObjectKey = key.parse()?;
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .content_type(content_type)
            .set_checksum_algorithm(self.uses_checksums().then_some(ChecksumAlgorithm::Sha256));
        let span = request_span!("s3.create_multipart_upload", %key);
        let created = traced(span, key.as_str(), request.send()).await?;
        let id = created.upload_id().map(str::to_owned);
        let id = id.ok_or_else(|| {
            BlobError::Unavailable("the answer to CreateMultipartUpload has no upload id".to_owned())
        })?;
        Ok(OpenUpload { key: key.to_string(), id })
    }

    async fn digest(
        &self,
        path: &Path,
        ranges: &[PartRange],
        cancel: &CancellationToken,
    ) -> Result<Vec<PartDigest>, BlobError> {
        self.digest_ranges(path, ranges, None, cancel).await.map(|(_, digests)| digests)
    }

    async fn digest_file(
        &self,
        path: &Path,
        ranges: &[PartRange],
        cancel: &CancellationToken,
    ) -> Result<(FileDigest, Vec<PartDigest>), BlobError> {
        let (whole, digests) = self.digest_ranges(path, ranges, Some(Sha256::new()), cancel).await?;
        let Some(whole) = whole else {
            debug_assert!(false, "digest_ranges returns the hash that it got");
            return Err(BlobError::Cancelled);
        };
        let sha256 = hex(&whole.finalize());
        let bytes = ranges.iter().map(|range| range.bytes).sum();
        Ok((FileDigest { bytes, sha256 }, digests))
    }

    async fn send(
        &self,
        upload: &OpenUpload,
        part: FilePart<'_>,
        cancel: &CancellationToken,
    ) -> Result<SentPart, BlobError> {
        let key: ObjectKey = upload.key.parse()?;
        let digests = self.digest(part.path, &[part.range], cancel).await?;
        let &[digest] = digests.as_slice() else {
            debug_assert!(false, "one range has one digest");
            return Err(BlobError::Cancelled);
        };
        let wire = Part::of(&part.range, &digest);
        let sent = Box::pin(self.upload_part(&key, &upload.id, part.path, &wire));
        let etag = cancellable(cancel, sent).await?;
        Ok(SentPart { range: part.range, digest, etag })
    }

    async fn complete(&self, upload: &OpenUpload, parts: &[SentPart]) -> Result<(), BlobError> {
        let completed = parts.iter().map(|part| {
            let wire = Part::of(&part.range, &part.digest);
            CompletedPart::builder()
                .part_number(wire.number)
                .e_tag(&part.etag)
                .set_checksum_sha256(wire.checksum())
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.config.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .multipart_upload(parts);
        let span = request_span!("s3.complete_multipart_upload", key = upload.key);
        traced(span, &upload.key, request.send()).await?;
        Ok(())
    }

    async fn confirm(&self, key: &str, parts: &[SentPart]) -> Result<ObjectInfo, BlobError> {
        let key: ObjectKey = key.parse()?;
        let bytes = parts.iter().map(|part| part.range.bytes).sum();
        let head = self.head_object(&key).await?;
        let mismatch = |detail| Err(BlobError::Mismatch { key: key.to_string(), detail });
        if head.bytes != bytes {
            return mismatch(format!("it has {} bytes, its parts have {bytes}", head.bytes));
        }
        let digests: Vec<PartDigest> = parts.iter().map(|part| part.digest).collect();
        let (etag, checksum) = (etag_of_parts(&digests), checksum_of_parts(&digests));
        let equals = |found: &Option<String>, expected: &str| found.as_deref() == Some(expected);
        let by_checksum = checksum.is_some_and(|expected| equals(&head.checksum, &expected));
        if by_checksum || equals(&head.etag, &etag) {
            return Ok(ObjectInfo { bytes, sha256: None });
        }
        tracing::debug!(target: TARGET, %key, "object read back: neither ETag nor checksum proves it");
        let ranges: Vec<PartRange> = parts.iter().map(|part| part.range).collect();
        if self.read_parts(&key, &ranges).await? == digests {
            return Ok(ObjectInfo { bytes, sha256: None });
        }
        mismatch("its content is not that of its parts".to_owned())
    }

    async fn abort(&self, upload: &OpenUpload) -> Result<(), BlobError> {
        self.abort_upload(&upload.key, &upload.id).await
    }

    async fn open(&self, prefix: &str) -> Result<Vec<OpenUpload>, BlobError> {
        let (mut open, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(&self.config.bucket)
                .prefix(prefix)
                .set_key_marker(key_marker.take())
                .set_upload_id_marker(id_marker.take());
            let span = request_span!("s3.list_multipart_uploads", prefix);
            let listed = traced(span, prefix, request.send()).await?;
            let before = open.len();
            open.extend(listed.uploads().iter().filter_map(|upload| {
                Some(OpenUpload { key: upload.key()?.to_owned(), id: upload.upload_id()?.to_owned() })
            }));
            let marker = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
            key_marker = marker(listed.next_key_marker());
            id_marker = marker(listed.next_upload_id_marker());
            // A page without a new upload would be requested forever.
            if listed.is_truncated() != Some(true) || key_marker.is_none() || open.len() == before {
                return Ok(open);
            }
        }
    }
}

/// The range of part `number` if the first parts have `first_bytes`.
fn range(first_bytes: u64, number: u32) -> PartRange {
    let (mut offset, mut bytes, mut left) = (0_u64, first_bytes, number.saturating_sub(1));
    while left >= DOUBLES_AFTER {
        offset = offset.saturating_add(bytes.saturating_mul(DOUBLES_AFTER.into()));
        bytes = bytes.saturating_mul(2).min(MAX_PART_BYTES);
        left -= DOUBLES_AFTER;
    }
    offset = offset.saturating_add(bytes.saturating_mul(left.into()));
    PartRange { number, offset, bytes }
}

impl S3 {
    /// The digests of ranges. The bytes are also added to `whole`.
    async fn digest_ranges(
        &self,
        path: &Path,
        ranges: &[PartRange],
        whole: Option<Sha256>,
        cancel: &CancellationToken,
    ) -> Result<(Option<Sha256>, Vec<PartDigest>), BlobError> {
        let (path, ranges, mode) = (path.to_owned(), ranges.to_owned(), self.config.checksum_mode());
        blocking(cancel, move |cancel| {
            let (mut whole, mut digests) = (whole, Vec::new());
            for range in &ranges {
                let digest = digest(&path, range, mode, whole.as_mut(), cancel);
                digests.push(digest.map_err(|error| match error {
                    ReadError::Read(error) | ReadError::Write(error) => source_error(&path, error),
                    ReadError::Cancelled => BlobError::Cancelled,
                })?);
            }
            Ok((whole, digests))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_of_any_size_without_a_gap() {
        const MIB: u64 = 1 << 20;
        let mut end = 0;
        for number in 1..=10_000 {
            let range = range(5 * MIB, number);
            assert_eq!((range.number, range.offset), (number, end), "part {number}");
            assert!((5 * MIB..=MAX_PART_BYTES).contains(&range.bytes));
            end = range.end();
        }
        assert_eq!(range(5 * MIB, 1000).bytes, 5 * MIB);
        assert_eq!(range(5 * MIB, 1001).bytes, 10 * MIB);
        assert!(end > 4 << 40, "{end} bytes are less than the largest object");
    }
}
