//! Sends the next part of an open file.

use std::{io::ErrorKind, time::Duration};

use blob::{BlobError, FilePart, PartRange, PartUploads};
use store::{StoreError, Upload};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::registry::{UploadGuard, UploadState};
use crate::{JobError, OpenFile, context::Context, journal, metrics, retry::backoff};

/// The longest wait after a failure, so that an object store that is back is used again within it.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The part to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first part, so that the object is playable if the node is lost. It is sent again at the end.
    Provisional(PartRange),
    Part(PartRange),
}

impl Next {
    fn range(self) -> PartRange {
        let (Self::Provisional(range) | Self::Part(range)) = self;
        range
    }
}

fn next(parts: &dyn PartUploads, file: &OpenFile, state: &UploadState) -> Option<Next> {
    let first = parts.range(1);
    // Only the last part of an upload may be shorter. The upload job sends a shorter file whole.
    if file.until < first.end() || file.from > first.bytes {
        return None;
    }
    if state.entries_sent != Some(file.entries) {
        return Some(Next::Provisional(first));
    }
    let range = parts.range(state.parts.saturating_add(2));
    (range.end() <= file.until).then_some(Next::Part(range))
}

/// Whether [`advance`] would do anything now.
pub(super) fn has_work(context: &Context, file: &OpenFile, state: &UploadState) -> bool {
    let due = state.not_before.is_none_or(|at| at <= Instant::now());
    let Some(parts) = context.blobs.parts().filter(|_| due && !state.rescued) else { return false };
    let other_key = state.upload.as_ref().is_some_and(|upload| upload.key != file.key);
    other_key || state.unjournaled_part.is_some() || next(parts, file, state).is_some()
}

/// Sends one part. Begins and journals the upload if that is still to be done. After a failure the next try waits; the
/// recording is not affected.
pub(super) async fn advance(
    context: &Context,
    file: &OpenFile,
    guard: &mut UploadGuard,
    cancel: &CancellationToken,
) {
    match step(context, file, guard, cancel).await {
        Ok(()) => {
            if guard.failures > 0 {
                tracing::info!(failures = guard.failures, "live upload works again");
            }
            guard.failures = 0;
            guard.not_before = None;
        }
        Err(JobError::Cancelled) => {}
        // The recording was finalized meanwhile, and its file renamed. The upload job sends the rest.
        Err(JobError::Blob(BlobError::Source { source, .. })) if source.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            metrics::live_upload_retry();
            guard.failures = guard.failures.saturating_add(1);
            let (config, failures) = (&context.config, guard.failures);
            let wait = backoff(config.workers.first_backoff.0, MAX_BACKOFF, failures, rand::random());
            tracing::warn!(%error, ?wait, failures, "live upload failed, to be retried");
            if is_gone(&error) {
                guard.reset();
                guard.failures = failures;
            }
            guard.not_before = Some(Instant::now() + wait);
        }
    }
}

/// Whether the upload was ended elsewhere: by a lifecycle rule of the bucket, or by a node that took this one for lost.
fn is_gone(error: &JobError) -> bool {
    matches!(error, JobError::Blob(BlobError::NoUpload(_)) | JobError::Store(StoreError::NotFound { .. }))
}

async fn step(
    context: &Context,
    file: &OpenFile,
    guard: &mut UploadGuard,
    cancel: &CancellationToken,
) -> Result<(), JobError> {
    let Some(parts) = context.blobs.parts() else {
        debug_assert!(false, "live_upload::run returns for a store without parts");
        return Ok(());
    };
    if let Some(other) = guard.upload.clone().filter(|upload| upload.key != file.key) {
        tracing::info!(from = other.key, to = file.key, "upload starts again: the file format has changed");
        parts.abort(&other).await?;
        context.store.delete_upload(file.recording, &other.id).await?;
        guard.reset();
    }
    let upload = match guard.upload.clone() {
        Some(upload) => upload,
        None => {
            if let Some((earlier, _)) = context.store.upload_of(file.recording).await? {
                if earlier.rescued {
                    guard.rescued = true;
                    return Ok(());
                }
                parts.abort(&journal::open(&earlier)).await?;
                context.store.delete_upload(file.recording, &earlier.id).await?;
            }
            let upload = parts.begin(&file.key, file.container.content_type()).await?;
            tracing::debug!(key = upload.key, upload_id = upload.id, "live upload begun");
            guard.upload.insert(upload).clone()
        }
    };
    if !guard.journaled {
        let entry = Upload {
            recording: file.recording,
            node: context.config.node.clone(),
            key: upload.key.clone(),
            id: upload.id.clone(),
            container: file.container,
            rescued: false,
        };
        context.store.begin_upload(&entry).await?;
        guard.journaled = true;
    }
    if let Some(part) = &guard.unjournaled_part {
        context.store.write_part(file.recording, &upload.id, part).await?;
        guard.unjournaled_part = None;
    }
    let Some(next) = next(parts, file, guard) else { return Ok(()) };
    let (range, provisional) = (next.range(), matches!(next, Next::Provisional(_)));
    tracing::debug!(part = range.number, offset = range.offset, bytes = range.bytes, "sending part");
    let begun = Instant::now();
    let sent = parts.send(&upload, FilePart { path: &file.path, range }, cancel).await?;
    tracing::debug!(part = range.number, provisional, etag = sent.etag, took = ?begun.elapsed(), "part confirmed");
    metrics::live_uploaded(range.bytes);
    let part = journal::entry(&sent, provisional, context.run);
    match next {
        Next::Provisional(_) => guard.entries_sent = Some(file.entries),
        Next::Part(_) => {
            guard.parts += 1;
            guard.set_sent(range.end());
        }
    }
    guard.unjournaled_part = Some(part.clone());
    context.store.write_part(file.recording, &upload.id, &part).await?;
    guard.unjournaled_part = None;
    Ok(())
}
