//! Conversions between the parts of the object store and the entries of the journal.

use blob::{OpenUpload, PartDigest, PartRange, PartUploads, SentPart};
use store::{Upload, UploadPart};
use uuid::Uuid;

/// The journal's entry of a part that run `run` of the process has sent.
pub(crate) fn entry(sent: &SentPart, provisional: bool, run: Uuid) -> UploadPart {
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

/// The part that an entry describes.
pub(crate) fn sent(part: &UploadPart) -> SentPart {
    SentPart {
        range: PartRange { number: part.number, offset: part.offset, bytes: part.bytes },
        digest: PartDigest { md5: part.md5, sha256: part.sha256 },
        etag: part.etag.clone(),
    }
}

/// The multipart upload that the journal describes.
pub(crate) fn open(upload: &Upload) -> OpenUpload {
    OpenUpload { key: upload.key.clone(), id: upload.id.clone() }
}

/// The parts of a finished file of `bytes` bytes. Parts that were sent have the size with which they were sent, which may be
/// that of another configuration or version. The others have the size that is configured now.
pub(crate) fn plan(parts: &dyn PartUploads, bytes: u64, journaled: &[UploadPart]) -> Vec<PartRange> {
    let sent = contiguous(journaled);
    let (mut plan, mut end) = (Vec::new(), 0);
    for number in 1.. {
        if end >= bytes {
            break;
        }
        let known = sent.get(plan.len()).map(|part| part.range.bytes);
        let size = known.unwrap_or_else(|| parts.range(number).bytes).min(bytes - end);
        plan.push(PartRange { number, offset: end, bytes: size });
        end += size;
    }
    plan
}

/// The parts up to the first gap.
pub(crate) fn contiguous(parts: &[UploadPart]) -> Vec<SentPart> {
    let mut end = 0;
    let follows = |part: &&UploadPart| {
        let follows = part.offset == end;
        end = part.offset.saturating_add(part.bytes);
        follows
    };
    parts.iter().take_while(follows).map(sent).collect()
}

/// The parts of a finished file of `bytes` bytes. Behind its end there may be others, which an earlier run has sent with
/// another size.
pub(crate) fn of_file(parts: &[UploadPart], bytes: u64) -> Vec<SentPart> {
    let mut sent = contiguous(parts);
    sent.retain(|part| part.range.offset < bytes);
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_behind_a_gap_do_not_count() {
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
