//! Between what the object store says of parts and what the journal holds of them.

use blob::{OpenUpload, PartDigest, PartRange, SentPart};
use store::{Upload, UploadPart};
use uuid::Uuid;

pub(crate) fn note(sent: &SentPart, provisional: bool, run: Uuid) -> UploadPart {
    UploadPart {
        number: sent.range.number,
        offset: sent.range.offset,
        bytes: sent.range.bytes,
        md5: sent.digest.md5,
        sha256: sent.digest.sha256,
        etag: sent.etag.clone(),
        provisional,
        run,
    }
}

pub(crate) fn sent(part: &UploadPart) -> SentPart {
    SentPart {
        range: PartRange { number: part.number, offset: part.offset, bytes: part.bytes },
        digest: PartDigest { md5: part.md5, sha256: part.sha256 },
        etag: part.etag.clone(),
    }
}

pub(crate) fn open(upload: &Upload) -> OpenUpload {
    OpenUpload { key: upload.key.clone(), id: upload.id.clone() }
}

/// The parts that cover the file's beginning without a gap.
pub(crate) fn contiguous(parts: &[UploadPart]) -> Vec<SentPart> {
    let mut end = 0;
    let follows = |part: &&UploadPart| {
        let follows = part.offset == end;
        end = part.offset.saturating_add(part.bytes);
        follows
    };
    parts.iter().take_while(follows).map(sent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_gap_nothing_counts() {
        let part = |number: u32| UploadPart {
            number,
            offset: u64::from(number - 1) * 10,
            bytes: 10,
            md5: [0; 16],
            sha256: None,
            etag: String::new(),
            provisional: number == 1,
            run: Uuid::nil(),
        };
        let count = |numbers: &[u32]| contiguous(&numbers.iter().map(|&n| part(n)).collect::<Vec<_>>()).len();
        assert_eq!(count(&[1, 2, 3]), 3);
        assert_eq!(count(&[1, 2, 4]), 2);
        assert_eq!(count(&[2, 3]), 0);
        assert_eq!(count(&[]), 0);
    }
}
