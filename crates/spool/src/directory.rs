//! The directory of one session.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use model::{Container, RecordingId};
use nix::{errno::Errno, fcntl::posix_fallocate};

/// `<spool>/<id>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDirectory {
    spool: PathBuf,
    path: PathBuf,
    id: RecordingId,
}

impl SessionDirectory {
    pub fn new(spool: &Path, id: RecordingId) -> Self {
        Self { spool: spool.to_owned(), path: spool.join(id.to_string()), id }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the recording.
    pub fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// The manifest while it is being written.
    pub fn manifest_part(&self) -> PathBuf {
        self.path.join("manifest.json.part")
    }

    /// The media until it is sealed.
    pub fn media_part(&self) -> PathBuf {
        self.path.join("media.part")
    }

    /// The sealed media.
    pub fn media(&self, container: Container) -> PathBuf {
        self.path.join(format!("{}.{}", self.id, container.extension()))
    }

    /// Takes room that nobody else gets, for what a recording that fills the disk has to write in the end: the index and
    /// the manifest.
    pub fn reserve_room(&self) -> io::Result<()> {
        /// The index of some hours.
        const ROOM: i64 = 256 << 10;
        let reserve = File::create_new(self.reserve())?;
        match posix_fallocate(reserve, 0, ROOM) {
            // A file system that can't promise room.
            Err(Errno::EOPNOTSUPP | Errno::EINVAL) => Ok(()),
            reserved => reserved.map_err(io::Error::from),
        }
    }

    /// Gives that room back; nothing if that was done before.
    pub fn free_room(&self) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.reserve()))
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// Forces the names in it to disk.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Forces its own name to disk.
    pub fn sync_name(&self) -> io::Result<()> {
        File::open(&self.spool)?.sync_all()
    }

    /// Removes what a session that never began has made: the manifest and a media file without a byte. Refuses to
    /// remove media.
    pub fn discard(&self) -> io::Result<()> {
        match fs::metadata(self.media_part()) {
            Ok(part) if part.len() > 0 => {
                return Err(io::Error::other("the session that never began has media"));
            }
            Ok(_) => fs::remove_file(self.media_part())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for path in [self.manifest(), self.manifest_part(), self.reserve()] {
            ignore_missing(fs::remove_file(path))?;
        }
        ignore_missing(fs::remove_dir(&self.path))
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
