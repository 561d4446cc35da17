//! Brings a sealed file into the object store.

use std::io::ErrorKind;

use blob::{BlobError, PutFile};
use chrono::Utc;
use model::{JobKind, Recording, RecordingState};
use store::{JobOutcome, NewJob};
use tokio_util::sync::CancellationToken;

use crate::{JobError, perform::Context, spool::SealedFile};

/// Uploads and verifies. The key follows from the recording alone, so that a rerun overwrites.
pub(crate) async fn run(
    context: &Context,
    recording: &Recording,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let file = SealedFile::of(recording, &context.config.spool)?;
    match tokio::fs::metadata(&file.path).await {
        Ok(metadata) if metadata.len() == file.bytes => {}
        Ok(metadata) => {
            return Err(JobError::FileDiffers { found: metadata.len(), sealed: file.bytes, path: file.path });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return without_file(context, &file).await,
        Err(source) => return Err(JobError::Spool { path: file.path, source }),
    }
    let sha256 = match file.sha256 {
        Some(known) => known.to_owned(),
        None => take_checksum(context, recording, &file, cancel).await?,
    };
    let file = SealedFile { sha256: Some(&sha256), ..file };
    let put = PutFile {
        key: file.key,
        path: &file.path,
        content_type: file.container.content_type(),
        sha256: file.sha256,
    };
    let stored = context.blobs.put_file(put, cancel).await.map_err(unless_cancelled)?;
    file.check(&stored)?;
    Ok(done(context))
}

/// Sealing doesn't read the file again, so that a stop takes no longer for a long recording. Its checksum is taken and
/// written down here, before the first byte leaves, so that every copy is held against what was sealed.
async fn take_checksum(
    context: &Context,
    recording: &Recording,
    file: &SealedFile<'_>,
    cancel: &CancellationToken,
) -> Result<String, JobError> {
    let digest = blob::file_digest(&file.path, cancel).await.map_err(unless_cancelled)?;
    if digest.bytes != file.bytes {
        let path = file.path.clone();
        return Err(JobError::FileDiffers { path, found: digest.bytes, sealed: file.bytes });
    }
    context.store.note_sha256(recording.id, &digest.sha256).await?;
    Ok(digest.sha256)
}

pub(crate) fn unless_cancelled(error: BlobError) -> JobError {
    match error {
        BlobError::Cancelled => JobError::Cancelled,
        error => JobError::Blob(error),
    }
}

/// The file is gone. That is fine if it had been stored before, say by a run whose end could not be written down.
async fn without_file(context: &Context, file: &SealedFile<'_>) -> Result<JobOutcome, JobError> {
    match context.blobs.head(file.key).await {
        Ok(stored) => file.check(&stored).map(|()| done(context)),
        Err(BlobError::NotFound(_)) => Err(JobError::FileMissing { path: file.path.clone() }),
        Err(error) => Err(error.into()),
    }
}

fn done(context: &Context) -> JobOutcome {
    let clean_up =
        NewJob { kind: JobKind::CleanUp, node: Some(context.config.node.clone()), run_at: Utc::now() };
    JobOutcome::Done { recording_state: Some(RecordingState::Available), next: vec![clean_up] }
}
