//! The clean-up job: removes the local copy of a recording whose object is verified.

use std::{fs, io::ErrorKind};

use blob::{BlobError, PartDigest, PartUploads, SentPart};
use model::{Container, Recording};
use spool::RecordingDirectory;
use store::JobOutcome;
use tokio_util::sync::CancellationToken;

use crate::{JobError, context::Context, finalized_file::FinalizedFile, journal};

/// Compares the file with the object once more, and removes the recording's directory if they are the same.
pub(crate) async fn run(
    context: &Context,
    recording: &Recording,
    cancel: &CancellationToken,
) -> Result<JobOutcome, JobError> {
    let file = FinalizedFile::of(recording, &context.config.spool)?;
    let upload = context.store.upload_of(recording.id).await?;
    match (&upload, context.blobs.parts()) {
        (Some((_, journaled)), Some(parts)) => {
            let sent = journal::of_file(journaled, file.bytes);
            compare_parts(context, recording, &file, parts, &sent, cancel).await?;
        }
        _ => compare_whole(context, recording, &file, cancel).await?,
    }
    remove_local(context, recording, &file).await?;
    if let Some((upload, _)) = upload {
        context.store.delete_upload(recording.id, &upload.id).await?;
    }
    Ok(JobOutcome::Done { recording_state: None, next: Vec::new() })
}

/// The object has the file's SHA-256, which is computed here if it is not known.
async fn compare_whole(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    cancel: &CancellationToken,
) -> Result<(), JobError> {
    let sha256 = match file.sha256 {
        Some(sha256) => sha256.to_owned(),
        None => {
            let digest = blob::file_digest(&file.path, cancel).await?;
            context.store.set_sha256(recording.id, &digest.sha256).await?;
            digest.sha256
        }
    };
    let stored = context.blobs.head(file.key).await?;
    FinalizedFile { sha256: Some(&sha256), ..file.clone() }.check(&stored)?;
    match stored.sha256 {
        Some(_) => Ok(()),
        None => Err(differs(file, "the object store does not know its SHA-256")),
    }
}

/// Both the object and the file consist of these parts. Computes the SHA-256 of the file.
async fn compare_parts(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    parts: &dyn PartUploads,
    sent: &[SentPart],
    cancel: &CancellationToken,
) -> Result<(), JobError> {
    let stored = parts.confirm(file.key, sent).await?;
    file.check(&stored)?;
    let ranges: Vec<_> = sent.iter().map(|part| part.range).collect();
    let (whole, digests) = match parts.digest_file(&file.path, &ranges, cancel).await {
        // An earlier run has compared it, and removed it.
        Err(BlobError::Source { source, .. })
            if source.kind() == ErrorKind::NotFound && file.sha256.is_some() =>
        {
            return Ok(());
        }
        read => read?,
    };
    let is_same = |(now, part): (&PartDigest, &SentPart)| {
        // Only one has a SHA-256 if `blob.s3.checksum` was changed since.
        let both = now.sha256.zip(part.digest.sha256);
        now.md5 == part.digest.md5 && both.is_none_or(|(now, then)| now == then)
    };
    let as_sent = digests.len() == sent.len() && digests.iter().zip(sent).all(is_same);
    if whole.bytes != file.bytes || !as_sent {
        return Err(differs(file, "the file has changed since it was sent"));
    }
    if file.sha256.is_some_and(|known| known != whole.sha256) {
        return Err(differs(file, "the file's SHA-256 is not the one in the recording's row"));
    }
    Ok(context.store.set_sha256(recording.id, &whole.sha256).await?)
}

fn differs(file: &FinalizedFile<'_>, detail: &str) -> JobError {
    JobError::ObjectDiffers { key: file.key.to_owned(), detail: detail.to_owned() }
}

async fn remove_local(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
) -> Result<(), JobError> {
    let directory = RecordingDirectory::new(&context.config.spool, recording.id);
    let (container, bytes) = (file.container, file.bytes);
    let removal = tokio::task::spawn_blocking(move || {
        check_only_copy(&directory, container, bytes)?;
        remove(&directory)
    });
    removal.await.map_err(|_| JobError::Panicked)?
}

/// The directory is removed as a whole, but only the finished file was verified: it must not have changed since, and no
/// other file may be media.
fn check_only_copy(directory: &RecordingDirectory, container: Container, bytes: u64) -> Result<(), JobError> {
    let spool_error = |source| JobError::Spool { path: directory.path().to_owned(), source };
    let path = directory.media(container);
    match fs::metadata(&path) {
        Ok(file) if file.len() != bytes => {
            return Err(JobError::FileDiffers { path, found: file.len(), expected: bytes });
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(spool_error(error)),
    }
    match directory.media_besides(container).map_err(spool_error)? {
        Some(path) => Err(JobError::UnstoredMedia { path }),
        None => Ok(()),
    }
}

/// Removes a recording's directory, for good. Blocks.
pub(crate) fn remove(directory: &RecordingDirectory) -> Result<(), JobError> {
    directory.remove().map_err(|source| JobError::Spool { path: directory.path().to_owned(), source })
}
