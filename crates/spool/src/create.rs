//! The first step of a recording on disk. Blocking: not for an async task.

use std::{
    fs::{self, File},
    io,
};

use model::Recording;

use crate::{
    Files, MediaFile, RecordingDirectory,
    manifest::{Manifest, Stage},
};

/// Creates the directory, its manifest, its reserved space and its empty media file.
///
/// # Errors
/// What was created stays: [`RecordingDirectory::discard`] removes it.
pub fn create(
    directory: &RecordingDirectory,
    files: &dyn Files,
    recording: Recording,
) -> io::Result<Box<dyn MediaFile>> {
    fs::create_dir(directory.path())?;
    Manifest::new(Stage::Recording, recording).write(directory, false)?;
    directory.reserve_room()?;
    files.create(&directory.media_part())
}

/// Forces to disk what [`create`] made. Apart from it, so that the database can commit the beginning meanwhile.
///
/// # Errors
/// The disk failed.
pub fn sync_created(directory: &RecordingDirectory) -> io::Result<()> {
    File::open(directory.manifest())?.sync_all()?;
    directory.sync()?;
    directory.sync_name()
}
