//! The upload job: puts a finished file into the object store and verifies the object.

mod finish;
mod progress;

use std::io::ErrorKind;

use blob::{BlobError, PutFile};
use chrono::Utc;
use model::{JobKind, Recording, RecordingState};
use store::{JobOutcome, LeasedJob, NewJob, Upload, UploadPart};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::finish::{Finished, Unfinished};
use crate::{JobError, context::Context, finalized_file::FinalizedFile, journal};

/// Uploads the file, or completes the upload that was begun while the file was open, and verifies the object. The key follows
/// from the recording alone, so a repeated run overwrites the object.
pub(crate) async fn run(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let file = FinalizedFile::of(recording, &context.config.spool)?;
    // Waits for a part that is being sent.
    let live_upload = context.live_uploads.of(recording.id);
    let mut guard = cancel.run_until_cancelled(live_upload.lock()).await.ok_or(JobError::Cancelled)?;
    if let (Some(parts), Some(begun), false) = (context.blobs.parts(), &guard.upload, guard.journaled) {
        // The database was away when the upload began. Without its journal it can't be completed.
        parts.abort(begun).await?;
        guard.reset();
    }
    let outcome = upload_with_progress(context, leased, recording, &file, cancel).await?;
    context.live_uploads.forget(recording.id);
    Ok(outcome)
}

/// Uploads, and commits progress meanwhile. Ends if that shows that the lease is lost.
async fn upload_with_progress(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let (confirmed, progress) = watch::channel(0);
    let stop = cancel.child_token();
    let uploading = upload(context, recording, file, &confirmed, &stop);
    tokio::pin!(uploading);
    let lost = tokio::select! {
        // The upload first: one that ends at once commits no progress.
        biased;
        outcome = &mut uploading => return outcome,
        lost = progress::commit(context, leased, recording, progress) => lost,
    };
    stop.cancel();
    let _ = uploading.await;
    Err(lost.into())
}

async fn upload(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    confirmed: &watch::Sender<u64>,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let begun = context.store.upload_of(recording.id).await?;
    let path = || file.path.clone();
    match tokio::fs::metadata(&file.path).await {
        Ok(metadata) if metadata.len() == file.bytes => {}
        Ok(metadata) => {
            return Err(JobError::FileDiffers { found: metadata.len(), expected: file.bytes, path: path() });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return without_file(context, file, begun).await;
        }
        Err(source) => return Err(JobError::Spool { path: path(), source }),
    }
    if let Some((upload, journaled)) = &begun {
        match finish(context, recording, file, (upload, journaled), confirmed, cancel).await? {
            Finished::Whole => return Ok(done(context)),
            Finished::SendWhole => {}
        }
    }
    confirmed.send_replace(0);
    put_whole(context, recording, file, confirmed, cancel).await?;
    if let Some((upload, _)) = begun.filter(|(upload, _)| upload.rescued) {
        // The object of the rescue has been replaced by the whole file.
        context.store.delete_upload(recording.id, &upload.id).await?;
    }
    Ok(done(context))
}

async fn put_whole(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    confirmed: &watch::Sender<u64>,
    cancel: &CancellationToken,
) -> Result<(), JobError> {
    let put = PutFile {
        key: file.key,
        path: &file.path,
        content_type: file.container.content_type(),
        sha256: file.sha256,
        confirmed: Some(confirmed),
    };
    let stored = context.blobs.put_file(put, cancel).await?;
    file.check(&stored)?;
    if let (None, Some(sha256)) = (file.sha256, &stored.sha256) {
        context.store.set_sha256(recording.id, sha256).await?;
    }
    Ok(())
}

/// Completes an upload that was begun while the file was open.
async fn finish(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    (upload, journaled): (&Upload, &[UploadPart]),
    confirmed: &watch::Sender<u64>,
    cancel: &CancellationToken,
) -> Result<Finished, JobError> {
    let Some(parts) = context.blobs.parts().filter(|_| !upload.rescued) else {
        return Ok(Finished::SendWhole);
    };
    if upload.key != file.key {
        tracing::info!(
            from = upload.key,
            to = file.key,
            "the file format has changed: sending the whole file"
        );
        parts.abort(&journal::open(upload)).await?;
        context.store.delete_upload(recording.id, &upload.id).await?;
        return Ok(Finished::SendWhole);
    }
    Unfinished { context, parts, recording, file, upload, confirmed }.finish(journaled, cancel).await
}

/// The file is missing. That is no error if its object is complete, for example after a run whose outcome was not committed.
async fn without_file(
    context: &Context,
    file: &FinalizedFile<'_>,
    begun: Option<(Upload, Vec<UploadPart>)>,
) -> Result<JobOutcome, JobError> {
    if begun.as_ref().is_some_and(|(upload, _)| upload.rescued) {
        // The node has returned without its disk. The object that another node has completed is all there is.
        return Ok(JobOutcome::Done { recording_state: None, next: Vec::new() });
    }
    let missing = || JobError::FileMissing { path: file.path.clone() };
    let stored = match (begun, context.blobs.parts()) {
        (Some((_, journaled)), Some(parts)) => {
            let sent = journal::of_file(&journaled, file.bytes);
            parts.confirm(file.key, &sent).await
        }
        _ => context.blobs.head(file.key).await.and_then(|stored| match &stored.sha256 {
            Some(_) => Ok(stored),
            None => Err(BlobError::NotFound(file.key.to_owned())),
        }),
    };
    match stored {
        Ok(stored) => file.check(&stored).map(|()| done(context)),
        Err(BlobError::NotFound(_) | BlobError::Mismatch { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

fn done(context: &Context) -> JobOutcome {
    let clean_up =
        NewJob { kind: JobKind::CleanUp, node: Some(context.config.node.clone()), run_at: Utc::now() };
    JobOutcome::Done { recording_state: Some(RecordingState::Available), next: vec![clean_up] }
}
