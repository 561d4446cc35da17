//! Repairs what ended without its recorder: after a crash, on a disk that was full or failed.
//!
//! Nothing here removes media. A directory that can't be understood stays as it is, for a person, and holds up no other.

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
    SessionDirectory,
    finish::{self, End},
    manifest::{Manifest, ManifestError, Stage},
    metrics,
};

/// A recording could not be repaired. What is there stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Seals everything that an earlier run left in the spool. The recordings that the ledger has to hear of.
pub fn recover_all(spool: &Path, base_path: &str) -> io::Result<Vec<(SessionDirectory, Recording)>> {
    let mut sealed = Vec::new();
    for entry in fs::read_dir(spool)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<RecordingId>().ok()) else {
            continue;
        };
        let directory = SessionDirectory::new(spool, id);
        match recover(&directory, base_path) {
            Ok(Some(recording)) => {
                info!(recording_id = %id, bytes = recording.bytes, "a recording of an earlier run is sealed");
                metrics::recovered("sealed");
                sealed.push((directory, recording));
            }
            Ok(None) => {}
            Err(error) => {
                error!(directory = %directory.path().display(), %error, "a recording can't be recovered, it stays");
                metrics::recovered("broken");
            }
        }
    }
    Ok(sealed)
}

/// Brings one directory to where the ledger can take it; none if there is nothing to tell.
fn recover(directory: &SessionDirectory, base_path: &str) -> Result<Option<Recording>, RecoverError> {
    let manifest = match Manifest::read(directory) {
        Ok(manifest) => manifest,
        // It died before the session had begun.
        Err(ManifestError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            warn!(directory = %directory.path().display(), "a session that had not begun is discarded");
            directory.discard()?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let recording = manifest.recording;
    match manifest.stage {
        Stage::Committed => {
            if recording.container.is_some_and(|container| !directory.media(container).exists()) {
                // The clean-up job took the media and was interrupted.
                directory.discard()?;
            }
            Ok(None)
        }
        Stage::Sealed => {
            finish::name_media(directory, &recording)?;
            directory.sync()?;
            Ok(Some(recording))
        }
        Stage::Recording => {
            let end = End { reason: EndReason::Crash, at: last_written(directory)? };
            repair_and_seal(directory, &recording, end, base_path).map(Some)
        }
    }
}

/// When the recorder last wrote media; now, where there is no file.
fn last_written(directory: &SessionDirectory) -> io::Result<DateTime<Utc>> {
    match fs::metadata(directory.media_part()) {
        Ok(part) => Ok(part.modified()?.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SystemTime::now().into()),
        Err(error) => Err(error),
    }
}

/// Repairs `media.part` and seals it. A file that is none of ours any more is kept beside a recording that says so.
pub fn repair_and_seal(
    directory: &SessionDirectory,
    begun: &Recording,
    end: End,
    base_path: &str,
) -> Result<Recording, RecoverError> {
    // On a full disk the index finds its room here.
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
    Ok(finish::seal(directory, begun, &summary, error, end, base_path)?)
}

fn unreadable(directory: &SessionDirectory, error: &media::RecoverError) -> String {
    error!(file = %directory.media_part().display(), %error, "media can't be repaired, it stays");
    format!("the media can't be repaired, it is kept on the node: {error}")
}

fn no_media() -> RecordingSummary {
    RecordingSummary { container: None, duration: std::time::Duration::ZERO, bytes: 0, tracks: Vec::new() }
}

/// Cuts the file behind its last whole frame and writes what a recorder writes when it finishes. Interrupted, it can be
/// done again.
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
