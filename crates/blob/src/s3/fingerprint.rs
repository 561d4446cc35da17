//! What a store must say of an object if it holds what we sent.

use std::{fs::File, path::Path};

use aws_smithy_types::base64;
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::config::ChecksumMode;
use crate::{
    BlobError, PartDigest, PartRange,
    digest::{ReadError, blocking, hex, read_all, source_error},
};

/// The most parts that an upload can have (Amazon S3 User Guide, "multipart upload limits").
const MAX_PARTS: u64 = 10_000;

/// One part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1.
    pub number: i32,
    pub offset: u64,
    pub bytes: u64,
    md5: [u8; 16],
    sha256: Option<[u8; 32]>,
}

impl Part {
    /// A part as it goes over the wire.
    pub fn of(range: &PartRange, digest: &PartDigest) -> Self {
        Self {
            // At most MAX_PARTS are taken by any store; a number beyond is refused there.
            number: i32::try_from(range.number).unwrap_or(i32::MAX),
            offset: range.offset,
            bytes: range.bytes,
            md5: digest.md5,
            sha256: digest.sha256,
        }
    }

    fn digest(&self) -> PartDigest {
        PartDigest { md5: self.md5, sha256: self.sha256 }
    }

    /// For the header `Content-MD5`.
    pub fn content_md5(&self) -> String {
        base64::encode(self.md5)
    }

    /// For the header `x-amz-checksum-sha256`, where checksums are wanted.
    pub fn checksum(&self) -> Option<String> {
        self.sha256.map(base64::encode)
    }

    /// The ETag of this part, where ETags are MD5s at all.
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }
}

/// A file as it has to arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub bytes: u64,
    /// SHA-256 of the whole, lower-case hexadecimal.
    pub sha256: String,
    /// At least one. One alone is sent by a plain PUT.
    pub parts: Vec<Part>,
}

impl Fingerprint {
    /// Reads the file once. Parts have `part_bytes`, or more where there would be too many of them.
    pub async fn of(
        path: &Path,
        part_bytes: u64,
        mode: ChecksumMode,
        cancel: &CancellationToken,
    ) -> Result<Self, BlobError> {
        let path = path.to_owned();
        blocking(cancel, move |cancel| {
            let file = File::open(&path).map_err(|error| source_error(&path, error))?;
            let metadata = file.metadata().map_err(|error| source_error(&path, error))?;
            if !metadata.is_file() {
                return Err(source_error(&path, std::io::Error::other("not a regular file")));
            }
            let part_bytes = part_bytes.max(metadata.len().div_ceil(MAX_PARTS));
            let mut hasher = Hasher::new(part_bytes, mode);
            read_all(&file, cancel, |piece| {
                hasher.update(piece);
                Ok(())
            })
            .map_err(|error| match error {
                ReadError::Read(error) | ReadError::Write(error) => source_error(&path, error),
                ReadError::Cancelled => BlobError::Cancelled,
            })?;
            Ok(hasher.finish())
        })
        .await
    }

    /// The ETag, without quotes: the MD5 of the content; of an object that came in parts, the MD5 of the parts' MD5s,
    /// a dash and their number. Objects encrypted with KMS or customer keys have another (Amazon S3 API Reference,
    /// `Object`, `ETag`).
    pub fn etag(&self) -> String {
        match self.parts.as_slice() {
            [single] => single.etag(),
            parts => etag_of_parts(&parts.iter().map(Part::digest).collect::<Vec<_>>()),
        }
    }

    /// The checksum of the whole as the store composes it of its parts' (Amazon S3 User Guide, "Checking object
    /// integrity", composite checksums); none if none are used.
    pub fn checksum(&self) -> Option<String> {
        match self.parts.as_slice() {
            [single] => single.checksum(),
            parts => checksum_of_parts(&parts.iter().map(Part::digest).collect::<Vec<_>>()),
        }
    }
}

/// The ETag of an object that came in parts, even if in one alone.
pub(super) fn etag_of_parts(parts: &[PartDigest]) -> String {
    let md5s = parts.iter().fold(Md5::new(), |hash, part| hash.chain_update(part.md5));
    format!("{}-{}", hex(&md5s.finalize()), parts.len())
}

/// Its composite checksum; none if a part has none.
pub(super) fn checksum_of_parts(parts: &[PartDigest]) -> Option<String> {
    let sums = parts.iter().try_fold(Sha256::new(), |hash, part| Some(hash.chain_update(part.sha256?)))?;
    Some(format!("{}-{}", base64::encode(sums.finalize()), parts.len()))
}

/// The digests of one part, from its bytes in order.
pub(super) struct PartHasher {
    md5: Md5,
    sha256: Option<Sha256>,
}

impl PartHasher {
    pub fn new(mode: ChecksumMode) -> Self {
        Self { md5: Md5::new(), sha256: (mode == ChecksumMode::WhenSupported).then(Sha256::new) }
    }

    pub fn update(&mut self, piece: &[u8]) {
        self.md5.update(piece);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(piece);
        }
    }

    pub fn finish(self) -> PartDigest {
        PartDigest { md5: self.md5.finalize().into(), sha256: self.sha256.map(|hash| hash.finalize().into()) }
    }
}

struct Hasher {
    mode: ChecksumMode,
    part_bytes: u64,
    whole: Sha256,
    bytes: u64,
    part: PartHasher,
    in_part: u64,
    parts: Vec<Part>,
}

impl Hasher {
    fn new(part_bytes: u64, mode: ChecksumMode) -> Self {
        let (whole, part) = (Sha256::new(), PartHasher::new(mode));
        Self { mode, part_bytes, whole, bytes: 0, part, in_part: 0, parts: Vec::new() }
    }

    fn update(&mut self, mut piece: &[u8]) {
        self.whole.update(piece);
        while !piece.is_empty() {
            if self.in_part == self.part_bytes {
                self.end_part();
            }
            let room = usize::try_from(self.part_bytes - self.in_part).unwrap_or(usize::MAX);
            let (now, later) = piece.split_at(room.min(piece.len()));
            self.part.update(now);
            self.in_part += now.len() as u64;
            self.bytes += now.len() as u64;
            piece = later;
        }
    }

    fn end_part(&mut self) {
        let digest = std::mem::replace(&mut self.part, PartHasher::new(self.mode)).finish();
        // At most MAX_PARTS, unless the file grows while it is read: then the store refuses the number.
        let number = u32::try_from(self.parts.len() + 1).unwrap_or(u32::MAX);
        let range = PartRange { number, offset: self.bytes - self.in_part, bytes: self.in_part };
        self.parts.push(Part::of(&range, &digest));
        self.in_part = 0;
    }

    fn finish(mut self) -> Fingerprint {
        self.end_part();
        Fingerprint { bytes: self.bytes, sha256: hex(&self.whole.finalize()), parts: self.parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8], part_bytes: u64, reads: usize) -> Fingerprint {
        let mut hasher = Hasher::new(part_bytes, ChecksumMode::WhenSupported);
        content.chunks(reads).for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    #[test]
    fn parts_do_not_depend_on_how_the_file_was_read() {
        let content: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
        let whole = of(&content, 300, 1000);
        assert_eq!(
            whole.parts.iter().map(|p| (p.number, p.offset, p.bytes)).collect::<Vec<_>>(),
            [(1, 0, 300), (2, 300, 300), (3, 600, 300), (4, 900, 100)]
        );
        for reads in [1, 7, 300, 301] {
            assert_eq!(of(&content, 300, reads), whole);
        }
    }

    #[test]
    fn a_file_of_whole_parts_has_no_empty_last_one() {
        assert_eq!(of(&[0; 600], 300, 64).parts.len(), 2);
        assert_eq!(of(&[0; 300], 300, 64).parts.len(), 1);
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        let empty = of(b"", 300, 1);
        assert_eq!(empty.etag(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!((empty.bytes, empty.parts.len()), (0, 1));
    }

    #[test]
    fn etag_and_checksum_of_parts_are_hashes_of_hashes() {
        // printf abc|md5sum; printf def|md5sum; the two in binary|md5sum; the same with sha256sum and base64.
        let two = of(b"abcdef", 3, 6);
        assert_eq!(two.etag(), "4c8e93283780e078db9e0c6b9b3f8043-2");
        assert_eq!(two.checksum().unwrap(), "nATTAFe3VK8bLS1PVnV4LdYaWmWcNO5sKvR1JrZsr6Y=-2");
        assert_eq!(of(b"abcdef", 6, 6).etag(), "e80b5017098950fc58aad83c8c14978e");
    }
}
