//! Completes the upload that was begun while a file was open: sends the missing parts, and the first one with the final header.
//! Only what is sent is read, so a long recording takes no longer than a short one.

use std::collections::HashMap;

use blob::{BlobError, FilePart, PartRange, PartUploads, SentPart};
use futures::{StreamExt, TryStreamExt, stream};
use model::{EndReason, Recording};
use store::{Upload, UploadPart};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{JobError, context::Context, finalized_file::FinalizedFile, journal};

/// Parts of one file that are sent at a time.
const PARTS_AT_ONCE: usize = 4;

/// The result of [`Unfinished::finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    /// The object is complete, and the store has confirmed it.
    Whole,
    /// The upload is of no use any more: the whole file has to be sent.
    SendWhole,
}

/// A finished file and the upload that was begun for it.
pub(crate) struct Unfinished<'a> {
    pub context: &'a Context,
    pub parts: &'a dyn PartUploads,
    pub recording: &'a Recording,
    pub file: &'a FinalizedFile<'a>,
    pub upload: &'a Upload,
    /// Receives the number of bytes that the store has confirmed.
    pub confirmed: &'a watch::Sender<u64>,
}

impl Unfinished<'_> {
    pub async fn finish(
        &self,
        journaled: &[UploadPart],
        cancel: &CancellationToken,
    ) -> Result<Finished, JobError> {
        let plan = journal::plan(self.parts, self.file.bytes, journaled);
        let mut sent = self.reusable(&plan, journaled, cancel).await?;
        self.confirmed.send_replace(sent.values().map(|part| part.range.bytes).sum());
        if sent.len() == plan.len() && self.confirms(&in_order(&plan, &sent)).await? {
            // An earlier run completed it.
            return Ok(Finished::Whole);
        }
        match self.send_missing(&plan, &mut sent, cancel).await {
            Err(JobError::Blob(BlobError::NoUpload(_))) => return self.forget().await,
            sent => sent?,
        }
        let (upload, parts) = (journal::open(self.upload), in_order(&plan, &sent));
        debug_assert_eq!(parts.len(), plan.len(), "every part of the plan is sent or reused");
        let completed = cancel.run_until_cancelled(self.parts.complete(&upload, &parts)).await;
        match completed.ok_or(JobError::Cancelled)? {
            // No upload: it may be complete, and only the answer was lost. Confirmed below.
            Ok(()) | Err(BlobError::NoUpload(_)) => {}
            Err(error @ BlobError::Mismatch { .. }) => {
                // The store does not know a part by the ETag that it returned. All parts have to be sent again.
                tracing::warn!(%error, "the upload can't be completed; sending the whole file");
                self.parts.abort(&upload).await?;
                return self.forget().await;
            }
            Err(error) => return Err(error.into()),
        }
        if self.confirms(&parts).await? {
            return Ok(Finished::Whole);
        }
        tracing::warn!(
            key = self.file.key,
            "the completed object is not what was sent; sending the whole file"
        );
        self.forget().await
    }

    /// Parts that need not be sent again. A part that this run of the process has sent held final bytes. If another run has
    /// sent it, or the file was repaired, it is compared with the file.
    async fn reusable(
        &self,
        plan: &[PartRange],
        journaled: &[UploadPart],
        cancel: &CancellationToken,
    ) -> Result<HashMap<u32, SentPart>, JobError> {
        use EndReason::{Crash, DiskFull, DiskStalled};
        let repaired = matches!(self.recording.end_reason, None | Some(Crash | DiskFull | DiskStalled));
        let usable = |part: &&UploadPart| !part.provisional && plan.contains(&journal::sent(part).range);
        let (ours, others): (Vec<_>, Vec<_>) =
            journaled.iter().filter(usable).partition(|part| part.run == self.context.run && !repaired);
        let ranges: Vec<PartRange> = others.iter().map(|part| journal::sent(part).range).collect();
        let digests = self.parts.digest(&self.file.path, &ranges, cancel).await?;
        let same = others.into_iter().zip(digests).map(|(part, digest)| (journal::sent(part), digest));
        let same = same.filter(|(part, digest)| part.digest == *digest).map(|(part, _)| part);
        Ok(ours.into_iter().map(journal::sent).chain(same).map(|part| (part.range.number, part)).collect())
    }

    /// Sends the parts of the plan that are not in `sent`, and journals each.
    async fn send_missing(
        &self,
        plan: &[PartRange],
        sent: &mut HashMap<u32, SentPart>,
        cancel: &CancellationToken,
    ) -> Result<(), JobError> {
        let missing: Vec<PartRange> =
            plan.iter().filter(|range| !sent.contains_key(&range.number)).copied().collect();
        let sending = missing.into_iter().map(|range| self.send(range, cancel));
        let new: Vec<SentPart> = stream::iter(sending).buffer_unordered(PARTS_AT_ONCE).try_collect().await?;
        sent.extend(new.into_iter().map(|part| (part.range.number, part)));
        Ok(())
    }

    async fn send(&self, range: PartRange, cancel: &CancellationToken) -> Result<SentPart, JobError> {
        let part = FilePart { path: &self.file.path, range };
        let sent = self.parts.send(&journal::open(self.upload), part, cancel).await;
        let sent = sent?;
        self.confirmed.send_modify(|bytes| *bytes = bytes.saturating_add(range.bytes));
        let note = journal::entry(&sent, false, self.context.run);
        self.context.store.write_part(self.recording.id, &self.upload.id, &note).await?;
        Ok(sent)
    }

    async fn confirms(&self, parts: &[SentPart]) -> Result<bool, JobError> {
        match self.parts.confirm(self.file.key, parts).await {
            Ok(stored) => self.file.check(&stored).map(|()| true),
            Err(BlobError::NotFound(_) | BlobError::Mismatch { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn forget(&self) -> Result<Finished, JobError> {
        self.context.store.delete_upload(self.recording.id, &self.upload.id).await?;
        Ok(Finished::SendWhole)
    }
}

fn in_order(plan: &[PartRange], sent: &HashMap<u32, SentPart>) -> Vec<SentPart> {
    plan.iter().filter_map(|range| sent.get(&range.number).cloned()).collect()
}
