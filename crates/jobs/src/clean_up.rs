//! Removes the local copy of a recording that is in the object store.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
};

use blob::{BlobError, PartDigest, PartUploads, SentPart};
use model::Recording;
use store::JobOutcome;
use tokio_util::sync::CancellationToken;

use crate::{
    JobError,
    dispatch::Context,
    journal,
    spool::{FinalizedFile, directory},
    upload::unless_cancelled,
};

/// Reads the file, asks the store once more, and only if it has exactly what was sealed removes the recording's directory.
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

/// The store has an object of the SHA-256 of the file, which is taken here where nobody took it before.
async fn compare_whole(
    context: &Context,
    recording: &Recording,
    file: &FinalizedFile<'_>,
    cancel: &CancellationToken,
) -> Result<(), JobError> {
    let sha256 = match file.sha256 {
        Some(sha256) => sha256.to_owned(),
        None => {
            let digest = blob::file_digest(&file.path, cancel).await.map_err(unless_cancelled)?;
            context.store.set_sha256(recording.id, &digest.sha256).await?;
            digest.sha256
        }
    };
    let stored = context.blobs.head(file.key).await?;
    FinalizedFile { sha256: Some(&sha256), ..file.clone() }.check(&stored)?;
    match stored.sha256 {
        Some(_) => Ok(()),
        None => Err(differs(file, "the store does not tell its SHA-256")),
    }
}

/// The store has an object of these parts, and the file has them too. Its SHA-256, which nobody has taken so far, is.
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
        // An earlier run compared and removed it.
        Err(BlobError::Source { source, .. })
            if source.kind() == ErrorKind::NotFound && file.sha256.is_some() =>
        {
            return Ok(());
        }
        read => read.map_err(unless_cancelled)?,
    };
    let is_same = |(now, part): (&PartDigest, &SentPart)| {
        // With another setting of the checksums one of the two has none.
        let both = now.sha256.zip(part.digest.sha256);
        now.md5 == part.digest.md5 && both.is_none_or(|(now, then)| now == then)
    };
    let as_sent = digests.len() == sent.len() && digests.iter().zip(sent).all(is_same);
    if whole.bytes != file.bytes || !as_sent {
        return Err(differs(file, "the file has changed since it was sent"));
    }
    if file.sha256.is_some_and(|known| known != whole.sha256) {
        return Err(differs(file, "the file's SHA-256 is not what was noted"));
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
    let (spool, id) = (context.config.spool.clone(), recording.id);
    let (sealed, bytes) = (file.path.clone(), file.bytes);
    let removal = tokio::task::spawn_blocking(move || {
        let directory = directory(&spool, id);
        look_for_other_media(&directory, &sealed, bytes)?;
        remove(&spool, &directory).map_err(|source| JobError::Spool { path: directory, source })
    });
    removal.await.map_err(|_| JobError::Panicked)?
}

/// The directory goes as a whole, but one file of it alone was verified: it must not have changed since, and no other
/// may hold media.
fn look_for_other_media(directory: &Path, sealed: &Path, bytes: u64) -> Result<(), JobError> {
    let spool_error = |source| JobError::Spool { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(spool_error)?,
    };
    for entry in entries {
        let entry = entry.map_err(spool_error)?;
        let (path, name) = (entry.path(), entry.file_name());
        let metadata = entry.metadata().map_err(spool_error)?;
        if path == sealed {
            if metadata.len() != bytes {
                return Err(JobError::FileDiffers { path, found: metadata.len(), sealed: bytes });
            }
            continue;
        }
        let name = name.to_string_lossy();
        // The manifest, finished or not, is a note about media. Whatever else is there may be media.
        if !name.ends_with(".json") && !name.ends_with(".json.part") {
            return Err(JobError::UnstoredMedia { path });
        }
    }
    Ok(())
}

/// Removes a recording's directory, for good.
pub(crate) fn remove(spool: &Path, directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    // After a power cut the directory must not be back: the job that would remove it is done.
    File::open(spool)?.sync_all()
}
