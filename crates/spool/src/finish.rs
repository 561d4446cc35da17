//! The last step of a recording on disk: makes the file durable and gives it its final name. Blocking: not for an async
//! task.

use std::{fs, io};

use chrono::{DateTime, Utc};
use media::RecordingSummary;
use model::{EndReason, Recording, RecordingState};

use crate::{
    RecordingDirectory, convert,
    manifest::{Manifest, Stage},
    queue::{Queue, WriteOutcome},
};

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// When, by the wall clock.
    pub at: DateTime<Utc>,
}

/// Finishes a file whose recorder has finished and whose bytes are written. May be repeated after a failure. Returns the
/// recording as the database is to commit it.
///
/// # Errors
/// The disk failed.
pub fn finish_written(
    directory: &RecordingDirectory,
    queue: &Queue,
    begun: &Recording,
    summary: &RecordingSummary,
    end: End,
    base_path: &str,
) -> io::Result<Recording> {
    queue.sync_all()?;
    finish(directory, begun, summary, None, end, base_path)
}

/// Whether the file holds everything that the recorder wrote.
#[must_use]
pub fn is_whole(summary: &RecordingSummary, written: WriteOutcome) -> bool {
    written.failure.is_none() && summary.bytes == written.bytes
}

/// Writes the manifest, then renames the file. After a crash in between, the manifest says what is missing. `error` is
/// for the person who reads the recording.
pub(crate) fn finish(
    directory: &RecordingDirectory,
    begun: &Recording,
    summary: &RecordingSummary,
    error: Option<String>,
    end: End,
    base_path: &str,
) -> io::Result<Recording> {
    // On a full disk the manifest takes this space.
    directory.free_room()?;
    let mut recording = finished_recording(begun, summary, end, base_path);
    recording.error = error.or(recording.error);
    Manifest::new(Stage::Finished, recording.clone()).write(directory, true)?;
    name_media(directory, &recording)?;
    directory.sync()?;
    Ok(recording)
}

/// Gives finished media its name. Removes the empty file of a session without media.
pub(crate) fn name_media(directory: &RecordingDirectory, recording: &Recording) -> io::Result<()> {
    let part = directory.media_part();
    if !part.try_exists()? {
        return Ok(());
    }
    match recording.container {
        Some(container) => fs::rename(part, directory.media(container)),
        None if fs::metadata(&part)?.len() == 0 => fs::remove_file(part),
        // Bytes that can't be read as media stay for a person.
        None => Ok(()),
    }
}

fn finished_recording(begun: &Recording, summary: &RecordingSummary, end: End, base_path: &str) -> Recording {
    let container = summary.container.map(convert::container);
    Recording {
        state: RecordingState::Processing,
        ended_at: Some(end.at),
        end_reason: Some(end.reason),
        container,
        object_key: container
            .map(|container| Recording::object_key(base_path, begun.id, begun.started_at, container)),
        duration: summary.duration,
        bytes: container.map_or(0, |_| summary.bytes),
        sha256: None,
        error: container.is_none().then(|| Recording::NO_MEDIA.to_owned()),
        tracks: summary.tracks.iter().map(convert::track).collect(),
        ..begun.clone()
    }
}

/// Notes that the database has committed the recording, so that the next start leaves it alone. Removes a directory
/// without media.
///
/// # Errors
/// The manifest can't be written.
pub fn mark_committed(directory: &RecordingDirectory, recording: Recording) -> io::Result<()> {
    if recording.container.is_none() && directory.discard().is_ok() {
        return Ok(());
    }
    if !directory.path().try_exists()? {
        // The clean-up job was faster.
        return Ok(());
    }
    Manifest::new(Stage::Committed, recording).write(directory, true)
}
