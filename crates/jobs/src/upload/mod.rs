//! Brings a sealed file into the object store.

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
use crate::{JobError, dispatch::Context, finalized_file::FinalizedFile, journal};

/// Uploads and verifies; what was sent while the file grew is not sent again. The key follows from the recording alone,
/// so that a rerun overwrites.
pub(crate) async fn run(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let file = FinalizedFile::of(recording, &context.config.spool)?;
    // A part that is on its way is waited for.
    let stream = context.streams.of(recording.id);
    let mut turn = cancel.run_until_cancelled(stream.lock()).await.ok_or(JobError::Cancelled)?;
    if let (Some(parts), Some(begun), false) = (context.blobs.parts(), &turn.upload, turn.journaled) {
        // The journal was away: the job has nothing to go by.
        parts.abort(begun).await?;
        turn.reset();
    }
    let outcome = upload_and_tell(context, leased, recording, &file, cancel).await?;
    context.streams.forget(recording.id);
    Ok(outcome)
}

/// Uploads, and meanwhile writes down how far it is. If that shows that the job is ours no longer, it ends.
async fn upload_and_tell(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let (confirmed, told) = watch::channel(0);
    let stop = cancel.child_token();
    let uploading = upload(context, recording, file, &confirmed, &stop);
    tokio::pin!(uploading);
    let lost = tokio::select! {
        // First, so that nothing is written of what is over at once.
        biased;
        outcome = &mut uploading => return outcome,
        lost = progress::tell(context, leased, recording, told) => lost,
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
            return Err(JobError::FileDiffers { found: metadata.len(), sealed: file.bytes, path: path() });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return without_file(context, file, begun).await;
        }
        Err(source) => return Err(JobError::Spool { path: path(), source }),
    }
    if let Some((upload, journaled)) = &begun {
        match finish(context, recording, file, (upload, journaled), confirmed, cancel).await? {
            Finished::Whole => return Ok(done(context)),
            Finished::Nothing => {}
        }
    }
    confirmed.send_replace(0);
    put_whole(context, recording, file, confirmed, cancel).await?;
    if let Some((upload, _)) = begun.filter(|(upload, _)| upload.rescued) {
        // What is missing of a rescued object has come.
        context.store.forget_upload(recording.id, &upload.id).await?;
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
    let stored = context.blobs.put_file(put, cancel).await.map_err(unless_cancelled)?;
    file.check(&stored)?;
    if let (None, Some(sha256)) = (file.sha256, &stored.sha256) {
        context.store.note_sha256(recording.id, sha256).await?;
    }
    Ok(())
}

/// Goes on with an upload that was begun while the file grew.
async fn finish(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    (upload, journaled): (&Upload, &[UploadPart]),
    confirmed: &watch::Sender<u64>,
    cancel: &CancellationToken,
) -> Result<Finished, JobError> {
    let Some(parts) = context.blobs.parts().filter(|_| !upload.rescued) else {
        return Ok(Finished::Nothing);
    };
    if upload.key != file.key {
        tracing::info!(from = upload.key, to = file.key, "the file's format has changed: it is sent whole");
        parts.abort(&journal::open(upload)).await?;
        context.store.forget_upload(recording.id, &upload.id).await?;
        return Ok(Finished::Nothing);
    }
    Unfinished { context, parts, recording, file, upload, confirmed }.finish(journaled, cancel).await
}

pub(crate) fn unless_cancelled(error: BlobError) -> JobError {
    match error {
        BlobError::Cancelled => JobError::Cancelled,
        error => JobError::Blob(error),
    }
}

/// The file is gone. That is fine if it had been stored before, say by a run whose end could not be written down.
async fn without_file(
    context: &Context,
    file: &FinalizedFile<'_>,
    begun: Option<(Upload, Vec<UploadPart>)>,
) -> Result<JobOutcome, JobError> {
    if begun.as_ref().is_some_and(|(upload, _)| upload.rescued) {
        // The node is back without its disk. What another node has made of what had been sent is all there is.
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
