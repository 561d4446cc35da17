//! Removes the local copy of a recording that is in the object store.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
};

use model::Recording;
use store::JobOutcome;

use crate::{
    JobError,
    perform::Context,
    spool::{SealedFile, directory},
};

/// Asks the store once more, and only if it has exactly what was sealed removes the recording's directory.
pub(crate) async fn run(context: &Context, recording: &Recording) -> Result<JobOutcome, JobError> {
    let file = SealedFile::of(recording, &context.config.spool)?;
    let stored = context.blobs.head(file.key).await?;
    file.check(&stored)?;
    let (spool, id) = (context.config.spool.clone(), recording.id);
    let (sealed, bytes) = (file.path.clone(), file.bytes);
    let removal = tokio::task::spawn_blocking(move || {
        let directory = directory(&spool, id);
        look_for_other_media(&directory, &sealed, bytes)?;
        remove(&spool, &directory).map_err(|source| JobError::Spool { path: directory, source })
    });
    removal.await.map_err(|_| JobError::Panicked)??;
    Ok(JobOutcome::Done { recording_state: None, next: Vec::new() })
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
