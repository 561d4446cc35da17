//! Repairs files that ended without their recorder: after a crash, or on a disk that was full or failed.
//!
//! Nothing here removes media. A directory that can't be understood stays, for a person, and delays no other. Blocking:
//! not for an async task.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use media::{RecordingSummary, Recovery};
use model::{EndReason, Recording, RecordingId};
use tracing::{error, info, warn};

use crate::{
    RecordingDirectory,
    finish::{self, End},
    manifest::{Manifest, ManifestError, Stage},
    metrics,
};

/// A recording could not be repaired. Its files stay.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The manifest can't be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Finishes every file that an earlier run left in the spool. Returns the recordings that the database has yet to commit.
pub(crate) fn recover_all(spool: &Path, base_path: &str) -> io::Result<Vec<(RecordingDirectory, Recording)>> {
    let mut finished = Vec::new();
    for entry in fs::read_dir(spool)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<RecordingId>().ok()) else {
            continue;
        };
        let directory = RecordingDirectory::new(spool, id);
        match recover(&directory, base_path) {
            Ok(Some(recording)) => {
                info!(recording_id = %id, bytes = recording.bytes, "finished a recording of an earlier run");
                metrics::recovered("sealed");
                finished.push((directory, recording));
            }
            Ok(None) => {}
            Err(error) => {
                error!(directory = %directory.path().display(), %error, "a recording can't be recovered and stays in the spool");
                metrics::recovered("broken");
            }
        }
    }
    Ok(finished)
}

/// Finishes the file of one directory; none if the database has nothing to commit.
fn recover(directory: &RecordingDirectory, base_path: &str) -> Result<Option<Recording>, RecoverError> {
    let manifest = match Manifest::read(directory) {
        Ok(manifest) => manifest,
        // The process ended before the session had begun.
        Err(ManifestError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            warn!(directory = %directory.path().display(), "discarded the directory of a session that had not begun");
            directory.discard()?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let recording = manifest.recording;
    match manifest.stage {
        Stage::Committed => {
            if recording.container.is_some_and(|container| !directory.media(container).exists()) {
                // The clean-up job removed the media and was interrupted.
                directory.discard()?;
            }
            Ok(None)
        }
        Stage::Finished => {
            finish::name_media(directory, &recording)?;
            directory.sync()?;
            Ok(Some(recording))
        }
        Stage::Recording => {
            let end = End { reason: EndReason::Crash, at: last_written(directory)? };
            repair_and_finish(directory, &recording, end, base_path).map(Some)
        }
    }
}

/// When the recorder last wrote media; now if there is no file.
fn last_written(directory: &RecordingDirectory) -> io::Result<DateTime<Utc>> {
    match fs::metadata(directory.media_part()) {
        Ok(part) => Ok(part.modified()?.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SystemTime::now().into()),
        Err(error) => Err(error),
    }
}

/// Repairs `media.part` and finishes it. A file that is no Matroska of ours stays, and the recording's error says so.
/// May be repeated after a failure.
///
/// # Errors
/// The disk failed. Nothing is lost.
pub fn repair_and_finish(
    directory: &RecordingDirectory,
    begun: &Recording,
    end: End,
    base_path: &str,
) -> Result<Recording, RecoverError> {
    // On a full disk the index takes this space.
    directory.free_room()?;
    let (summary, error) = match OpenOptions::new().read(true).write(true).open(directory.media_part()) {
        Ok(file) => match repair(&file) {
            Ok(summary) => (summary, None),
            Err(media::RecoverError::Io(error)) => return Err(error.into()),
            Err(error @ media::RecoverError::Foreign) => (no_media(), Some(unreadable(directory, &error))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => (no_media(), None),
        Err(error) => return Err(error.into()),
    };
    Ok(finish::finish(directory, begun, &summary, error, end, base_path)?)
}

fn unreadable(directory: &RecordingDirectory, error: &media::RecoverError) -> String {
    error!(file = %directory.media_part().display(), %error, "media can't be repaired and stays in the spool");
    format!("the media can't be repaired, it stays on the node: {error}")
}

fn no_media() -> RecordingSummary {
    RecordingSummary { container: None, duration: std::time::Duration::ZERO, bytes: 0, tracks: Vec::new() }
}

/// Truncates the file after its last whole frame and writes what a recorder writes at its end. May be repeated after an
/// interruption.
fn repair(file: &File) -> Result<RecordingSummary, media::RecoverError> {
    if file.metadata()?.len() == 0 {
        return Ok(no_media());
    }
    let summary = match media::recover(file)? {
        Recovery::NoMedia => return Ok(no_media()),
        Recovery::Complete(summary) => summary,
        Recovery::Repair(repair) => {
            file.set_len(repair.truncate)?;
            file.write_all_at(&repair.append, repair.truncate)?;
            for (offset, bytes) in &repair.patches {
                file.write_all_at(bytes, *offset)?;
            }
            repair.summary
        }
    };
    file.sync_all()?;
    Ok(summary)
}
