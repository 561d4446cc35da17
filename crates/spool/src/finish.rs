//! Makes a file that has ended safe and gives it its name. Blocking: not for an async task.

use std::{
    fs::{self, OpenOptions},
    io,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use media::RecordingSummary;
use model::{EndReason, Recording, RecordingState};

use crate::convert;
use crate::{
    Files, MediaFile, SessionDirectory, Written,
    manifest::{Manifest, Stage},
    queue::Queue,
};

/// What ends up in the recording besides its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub reason: EndReason,
    pub at: DateTime<Utc>,
}

/// Seals a file whose recorder has finished and whose bytes are written. Repeating it after a failure is fine.
pub fn seal_finished(
    directory: &SessionDirectory,
    queue: &Arc<Queue>,
    begun: &Recording,
    summary: &RecordingSummary,
    end: End,
    base_path: &str,
) -> io::Result<Recording> {
    queue.sync_all()?;
    seal(directory, begun, summary, None, end, base_path)
}

/// Whether everything that the recorder wrote is in the file.
pub fn is_whole(summary: Option<&RecordingSummary>, written: Written) -> bool {
    written.failure.is_none() && summary.is_some_and(|summary| summary.bytes == written.bytes)
}

/// Writes down what the media is, then gives it its name. In this order a crash in between leaves a directory that
/// says itself what is missing. `error` is for the person who reads the recording.
pub fn seal(
    directory: &SessionDirectory,
    begun: &Recording,
    summary: &RecordingSummary,
    error: Option<String>,
    end: End,
    base_path: &str,
) -> io::Result<Recording> {
    // On a full disk this is the room that the manifest takes.
    directory.free_room()?;
    let mut recording = sealed_recording(begun, summary, end, base_path);
    recording.error = error.or(recording.error);
    Manifest::new(Stage::Sealed, recording.clone()).write(directory, true)?;
    name_media(directory, &recording)?;
    directory.sync()?;
    Ok(recording)
}

/// Gives sealed media its name; an empty file of a session without media goes.
pub fn name_media(directory: &SessionDirectory, recording: &Recording) -> io::Result<()> {
    let part = directory.media_part();
    if !part.try_exists()? {
        return Ok(());
    }
    match recording.container {
        Some(container) => fs::rename(part, directory.media(container)),
        None if fs::metadata(&part)?.len() == 0 => fs::remove_file(part),
        // Bytes that nobody could read as media stay for a person.
        None => Ok(()),
    }
}

fn sealed_recording(begun: &Recording, summary: &RecordingSummary, end: End, base_path: &str) -> Recording {
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
        tracks: summary.tracks.iter().map(convert::model_track).collect(),
        ..begun.clone()
    }
}

/// The ledger has committed it: nothing is left to do at the next start. A directory without media goes.
pub fn mark_committed(directory: &SessionDirectory, recording: Recording) -> io::Result<()> {
    if recording.container.is_none() && directory.discard().is_ok() {
        return Ok(());
    }
    if !directory.path().try_exists()? {
        // The clean-up job was quicker.
        return Ok(());
    }
    Manifest::new(Stage::Committed, recording).write(directory, true)
}

/// Makes the directory, its manifest, its reserve of room and its empty media file.
pub fn create(
    directory: &SessionDirectory,
    files: &dyn Files,
    recording: Recording,
) -> io::Result<Box<dyn MediaFile>> {
    fs::create_dir(directory.path())?;
    Manifest::new(Stage::Recording, recording).write(directory, false)?;
    directory.reserve_room()?;
    files.create(&directory.media_part())
}

/// Forces what [`create`] made to disk.
pub fn sync_created(directory: &SessionDirectory) -> io::Result<()> {
    OpenOptions::new().read(true).open(directory.manifest())?.sync_all()?;
    directory.sync()?;
    directory.sync_name()
}
