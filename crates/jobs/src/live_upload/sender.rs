//! Sends the next part of a growing file.

use blob::{BlobError, FilePart, PartRange, PartUploads};
use store::{StoreError, Upload};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{OpenFile, registry::UploadGuard};
use crate::{JobError, dispatch::Context, journal, metrics, retry::backoff};

/// The longest wait after a failure. An object store that is back is found within it.
const MAX_BACKOFF: std::time::Duration = std::time::Duration::from_secs(30);

/// What is to be sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// What the file begins with, so that what was sent plays if the rest never comes. It is sent again at the end.
    Provisional(PartRange),
    Part(PartRange),
}

fn next(parts: &dyn PartUploads, file: &OpenFile, state: &super::State) -> Option<Next> {
    let first = parts.range(1);
    // No part but the last can be smaller: what is shorter goes whole when it is finished.
    if file.until < first.end() || file.from > first.bytes {
        return None;
    }
    if state.entries_sent != Some(file.entries) {
        return Some(Next::Provisional(first));
    }
    let range = parts.range(state.parts.saturating_add(2));
    (range.end() <= file.until).then_some(Next::Part(range))
}

pub(super) fn has_work(context: &Context, file: &OpenFile, state: &super::State) -> bool {
    let due = state.not_before.is_none_or(|at| at <= Instant::now());
    let Some(parts) = context.blobs.parts().filter(|_| due && !state.rescued) else { return false };
    let other_key = state.upload.as_ref().is_some_and(|upload| upload.key != file.key);
    other_key || state.unnoted.is_some() || next(parts, file, state).is_some()
}

/// Sends one part, and whatever has to come before. A failure is waited out; the recording never hears of it.
pub(super) async fn advance(
    context: &Context,
    file: &OpenFile,
    turn: &mut UploadGuard,
    cancel: &CancellationToken,
) {
    match step(context, file, turn, cancel).await {
        Ok(()) => {
            turn.failures = 0;
            turn.not_before = None;
        }
        Err(JobError::Blob(BlobError::Cancelled)) => {}
        // It has been sealed meanwhile: its job goes on.
        Err(JobError::Blob(BlobError::Source { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            metrics::stream_retry();
            turn.failures = turn.failures.saturating_add(1);
            let config = &context.config;
            let wait = backoff(config.first_backoff, MAX_BACKOFF, turn.failures, rand::random());
            tracing::warn!(%error, ?wait, failures = turn.failures, "a part could not be sent yet");
            if is_gone(&error) {
                let failures = turn.failures;
                turn.reset();
                turn.failures = failures;
            }
            turn.not_before = Some(Instant::now() + wait);
        }
    }
}

/// Whether somebody has ended the upload: a rule of the bucket, or a node that took ours for dead.
fn is_gone(error: &JobError) -> bool {
    matches!(error, JobError::Blob(BlobError::NoUpload(_)) | JobError::Store(StoreError::NotFound { .. }))
}

async fn step(
    context: &Context,
    file: &OpenFile,
    turn: &mut UploadGuard,
    cancel: &CancellationToken,
) -> Result<(), JobError> {
    let Some(parts) = context.blobs.parts() else { return Ok(()) };
    if turn.upload.as_ref().is_some_and(|upload| upload.key != file.key) {
        give_up(context, file, turn).await?;
    }
    if turn.upload.is_none() {
        if let Some((earlier, _)) = context.store.upload_of(file.recording).await? {
            if earlier.rescued {
                turn.rescued = true;
                return Ok(());
            }
            parts.abort(&journal::open(&earlier)).await?;
            context.store.forget_upload(file.recording, &earlier.id).await?;
        }
        turn.upload = Some(parts.begin(&file.key, file.container.content_type()).await?);
    }
    let Some(upload) = turn.upload.clone() else { return Ok(()) };
    if !turn.journaled {
        let entry = Upload {
            recording: file.recording,
            node: context.config.node.clone(),
            key: upload.key.clone(),
            id: upload.id.clone(),
            container: file.container,
            rescued: false,
        };
        context.store.begin_upload(&entry).await?;
        turn.journaled = true;
    }
    if let Some(part) = &turn.unnoted {
        context.store.note_part(file.recording, &upload.id, part).await?;
        turn.unnoted = None;
    }
    let Some(next) = next(parts, file, turn) else { return Ok(()) };
    let (Next::Provisional(range) | Next::Part(range)) = next;
    let sent = parts.send(&upload, FilePart { path: &file.path, range }, cancel).await?;
    metrics::streamed(range.bytes);
    let note = journal::note(&sent, matches!(next, Next::Provisional(_)), context.run);
    match next {
        Next::Provisional(_) => turn.entries_sent = Some(file.entries),
        Next::Part(_) => {
            turn.parts += 1;
            turn.set_sent(range.end());
        }
    }
    turn.unnoted = Some(note.clone());
    context.store.note_part(file.recording, &upload.id, &note).await?;
    turn.unnoted = None;
    Ok(())
}

/// The file's format is another than when the upload began, and so is the key. What was sent is sent again.
async fn give_up(context: &Context, file: &OpenFile, turn: &mut UploadGuard) -> Result<(), JobError> {
    if let (Some(parts), Some(upload)) = (context.blobs.parts(), turn.upload.clone()) {
        tracing::info!(from = %upload.key, to = %file.key, "the file's format has changed: beginning anew");
        parts.abort(&upload).await?;
        context.store.forget_upload(file.recording, &upload.id).await?;
    }
    turn.reset();
    Ok(())
}
