//! The digests of a file, and the ETag and checksum that a store must compute from the same bytes.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    num::NonZero,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

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
/// Maximum number of threads that digest one file; with more the disk is the limit.
const MAX_THREADS: usize = 4;

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
    /// The part with this range and these digests.
    pub fn of(range: &PartRange, digest: &PartDigest) -> Self {
        Self {
            // No store accepts more than MAX_PARTS; it refuses a larger number.
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

    /// The value of the header `Content-MD5`.
    pub fn content_md5(&self) -> String {
        base64::encode(self.md5)
    }

    /// The value of the header `x-amz-checksum-sha256`; none if checksums are not used.
    pub fn checksum(&self) -> Option<String> {
        self.sha256.map(base64::encode)
    }

    /// The ETag of this part, if the store's ETags are MD5s.
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }
}

/// The digests of a file and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub bytes: u64,
    /// SHA-256 of the whole, lower-case hexadecimal.
    pub sha256: String,
    /// At least one. A single part is sent by a plain PUT.
    pub parts: Vec<Part>,
}

impl Fingerprint {
    /// Reads the file. Parts have `part_bytes`, or more if there would be too many of them.
    pub async fn of(
        path: &Path,
        part_bytes: u64,
        mode: ChecksumMode,
        cancel: &CancellationToken,
    ) -> Result<Self, BlobError> {
        let path = path.to_owned();
        blocking(cancel, move |cancel| {
            Self::take(&path, part_bytes, mode, cancel).map_err(|error| match error {
                ReadError::Read(error) | ReadError::Write(error) => source_error(&path, error),
                ReadError::Cancelled => BlobError::Cancelled,
            })
        })
        .await
    }

    fn take(
        path: &Path,
        part_bytes: u64,
        mode: ChecksumMode,
        cancel: &CancellationToken,
    ) -> Result<Self, ReadError> {
        let metadata = fs::metadata(path).map_err(ReadError::Read)?;
        if !metadata.is_file() {
            return Err(ReadError::Read(io::Error::other("not a regular file")));
        }
        let bytes = metadata.len();
        let ranges = ranges(bytes, part_bytes.max(bytes.div_ceil(MAX_PARTS)));
        let (whole, digests) = match ranges.as_slice() {
            [only] => {
                let mut whole = Sha256::new();
                let digest = digest(path, only, mode, Some(&mut whole), cancel)?;
                (whole, vec![digest])
            }
            ranges => digest_in_parallel(path, bytes, ranges, mode, cancel)?,
        };
        let parts = ranges.iter().zip(&digests).map(|(range, digest)| Part::of(range, digest)).collect();
        Ok(Self { bytes, sha256: hex(&whole.finalize()), parts })
    }

    /// The ETag, without quotes: the MD5 of the content; of a multipart object, the MD5 of the parts' MD5s, a
    /// dash and their number. Objects encrypted with KMS or customer keys have another ETag (Amazon S3 API Reference,
    /// `Object`, `ETag`).
    pub fn etag(&self) -> String {
        match self.parts.as_slice() {
            [single] => single.etag(),
            parts => etag_of_parts(&parts.iter().map(Part::digest).collect::<Vec<_>>()),
        }
    }

    /// The checksum of the object, composed from those of its parts (Amazon S3 User Guide, "Checking object integrity",
    /// composite checksums); none if checksums are not used.
    pub fn checksum(&self) -> Option<String> {
        match self.parts.as_slice() {
            [single] => single.checksum(),
            parts => checksum_of_parts(&parts.iter().map(Part::digest).collect::<Vec<_>>()),
        }
    }
}

/// The ETag of a multipart object, also of one with a single part.
pub(super) fn etag_of_parts(parts: &[PartDigest]) -> String {
    let md5s = parts.iter().fold(Md5::new(), |hash, part| hash.chain_update(part.md5));
    format!("{}-{}", hex(&md5s.finalize()), parts.len())
}

/// The composite checksum of a multipart object; none if a part has no SHA-256.
pub(super) fn checksum_of_parts(parts: &[PartDigest]) -> Option<String> {
    let sums = parts.iter().try_fold(Sha256::new(), |hash, part| Some(hash.chain_update(part.sha256?)))?;
    Some(format!("{}-{}", base64::encode(sums.finalize()), parts.len()))
}

/// Computes the digests of one part from its bytes in order.
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

/// The ranges of the parts: at least one. Only an empty file has an empty part.
fn ranges(bytes: u64, part_bytes: u64) -> Vec<PartRange> {
    let range = |index: u64| {
        let offset = index * part_bytes;
        // There are at most MAX_PARTS.
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        PartRange { number, offset, bytes: part_bytes.min(bytes - offset) }
    };
    (0..bytes.div_ceil(part_bytes).max(1)).map(range).collect()
}

/// Computes the SHA-256 of the file on one thread and the digests of its parts on others. MD5 takes three times as long as
/// SHA-256, and in sequence both would delay a fast connection.
fn digest_in_parallel(
    path: &Path,
    bytes: u64,
    ranges: &[PartRange],
    mode: ChecksumMode,
    cancel: &CancellationToken,
) -> Result<(Sha256, Vec<PartDigest>), ReadError> {
    let next = AtomicUsize::new(0);
    let digest_some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Relaxed);
            let Some(range) = ranges.get(at) else { return Ok(done) };
            done.push((at, digest(path, range, mode, None, cancel)?));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(digest_some)).collect();
        let mut whole = Sha256::new();
        let file = File::open(path).map_err(ReadError::Read)?;
        read_all(file.take(bytes), cancel, |piece| {
            whole.update(piece);
            Ok(())
        })?;
        let mut done = digest_some()?;
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        done.sort_unstable_by_key(|(at, _)| *at);
        Ok((whole, done.into_iter().map(|(_, digest)| digest).collect()))
    })
}

/// The digests of a range. The bytes are also added to `whole`.
pub(super) fn digest(
    path: &Path,
    range: &PartRange,
    mode: ChecksumMode,
    mut whole: Option<&mut Sha256>,
    cancel: &CancellationToken,
) -> Result<PartDigest, ReadError> {
    let mut file = File::open(path).map_err(ReadError::Read)?;
    file.seek(SeekFrom::Start(range.offset)).map_err(ReadError::Read)?;
    let (mut hasher, mut bytes) = (PartHasher::new(mode), 0);
    read_all(file.take(range.bytes), cancel, |piece| {
        hasher.update(piece);
        if let Some(whole) = &mut whole {
            whole.update(piece);
        }
        bytes += piece.len() as u64;
        Ok(())
    })?;
    if bytes != range.bytes {
        return Err(ReadError::Read(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8], part_bytes: u64) -> Fingerprint {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        Fingerprint::take(file.path(), part_bytes, ChecksumMode::WhenSupported, &CancellationToken::new())
            .unwrap()
    }

    #[test]
    fn parts_cover_the_file_and_have_the_digests_of_their_bytes() {
        let content: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
        let whole = of(&content, 300);
        assert_eq!(
            whole.parts.iter().map(|p| (p.number, p.offset, p.bytes)).collect::<Vec<_>>(),
            [(1, 0, 300), (2, 300, 300), (3, 600, 300), (4, 900, 100)]
        );
        for part in &whole.parts {
            let alone = of(&content[part.offset as usize..][..part.bytes as usize], 300);
            assert_eq!((alone.etag(), alone.checksum()), (part.etag(), part.checksum()));
        }
        assert_eq!(whole.sha256, of(&content, 1000).sha256);
    }

    #[test]
    fn a_file_of_whole_parts_has_no_empty_last_one() {
        assert_eq!(of(&[0; 600], 300).parts.len(), 2);
        assert_eq!(of(&[0; 300], 300).parts.len(), 1);
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        let empty = of(b"", 300);
        assert_eq!(empty.etag(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!((empty.bytes, empty.parts.len()), (0, 1));
    }

    #[test]
    fn etag_and_checksum_of_parts_are_hashes_of_hashes() {
        // printf abc|md5sum; printf def|md5sum; the two in binary|md5sum; the same with sha256sum and base64.
        let two = of(b"abcdef", 3);
        assert_eq!(two.etag(), "4c8e93283780e078db9e0c6b9b3f8043-2");
        assert_eq!(two.checksum().unwrap(), "nATTAFe3VK8bLS1PVnV4LdYaWmWcNO5sKvR1JrZsr6Y=-2");
        assert_eq!(of(b"abcdef", 6).etag(), "e80b5017098950fc58aad83c8c14978e");
    }
}
