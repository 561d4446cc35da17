//! The directory of one recording: the names of its files, and their removal.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use model::{Container, RecordingId};
use nix::{errno::Errno, fcntl::posix_fallocate};

/// `<spool>/<id>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingDirectory {
    spool: PathBuf,
    path: PathBuf,
    id: RecordingId,
}

impl RecordingDirectory {
    /// The directory of a recording below `spool`. Touches no file.
    #[must_use]
    pub fn new(spool: &Path, id: RecordingId) -> Self {
        Self { spool: spool.to_owned(), path: spool.join(id.to_string()), id }
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest's path.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// The manifest's path while it is being written.
    pub(crate) fn manifest_part(&self) -> PathBuf {
        self.path.join("manifest.json.part")
    }

    /// The path of the open file.
    #[must_use]
    pub fn media_part(&self) -> PathBuf {
        self.path.join("media.part")
    }

    /// The path of the finished file.
    #[must_use]
    pub fn media(&self, container: Container) -> PathBuf {
        self.path.join(format!("{}.{}", self.id, container.extension()))
    }

    /// The first file that may be media besides the finished one. The manifest and its part are none. A directory that
    /// is missing has none.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn media_besides(&self, finished: Container) -> io::Result<Option<PathBuf>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        let known = [self.media(finished), self.manifest(), self.manifest_part()];
        for entry in entries {
            let path = entry?.path();
            if !known.contains(&path) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Removes the directory with all that it holds. Does nothing if it is missing. It stays removed after a power loss.
    ///
    /// # Errors
    /// Something in it can't be removed, or the spool can't be forced to disk.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
        self.sync_name()
    }

    /// Removes the directory of a session that never began: the manifest and a media file of zero bytes. Does nothing
    /// if it is missing.
    ///
    /// # Errors
    /// The open file has bytes, or something else is in the directory: nothing that may be media is removed.
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

    /// Reserves disk space for the end of a recording that fills the disk: the index and the manifest. On a file system
    /// that can't reserve space it does nothing.
    pub(crate) fn reserve_room(&self) -> io::Result<()> {
        /// The index of some hours, in bytes.
        const ROOM: i64 = 256 << 10;
        let reserve = File::create_new(self.reserve())?;
        match posix_fallocate(reserve, 0, ROOM) {
            Err(Errno::EOPNOTSUPP | Errno::EINVAL) => Ok(()),
            reserved => reserved.map_err(io::Error::from),
        }
    }

    /// Frees the reserved space. Does nothing the second time.
    pub(crate) fn free_room(&self) -> io::Result<()> {
        ignore_missing(fs::remove_file(self.reserve()))
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// Forces the directory's entries to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Forces the directory's own entry in the spool to disk.
    pub(crate) fn sync_name(&self) -> io::Result<()> {
        File::open(&self.spool)?.sync_all()
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(spool: &Path) -> RecordingDirectory {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        RecordingDirectory::new(spool, id)
    }

    #[test]
    fn a_file_besides_the_finished_one_and_the_manifest_may_be_media() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        assert_eq!(directory.media_besides(Container::Webm).unwrap(), None, "it is missing");
        fs::create_dir(directory.path()).unwrap();
        for path in [directory.media(Container::Webm), directory.manifest(), directory.manifest_part()] {
            fs::write(path, b"x").unwrap();
        }
        assert_eq!(directory.media_besides(Container::Webm).unwrap(), None);
        let other = directory.media(Container::Matroska);
        fs::write(&other, b"x").unwrap();
        assert_eq!(directory.media_besides(Container::Webm).unwrap(), Some(other));
    }

    #[test]
    fn removal_may_be_repeated_and_leaves_other_directories() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        fs::create_dir(directory.path()).unwrap();
        fs::write(directory.media_part(), b"x").unwrap();
        fs::create_dir(spool.path().join("other")).unwrap();
        directory.remove().unwrap();
        directory.remove().unwrap();
        assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_with_media_is_not_discarded() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        fs::create_dir(directory.path()).unwrap();
        fs::write(directory.media_part(), b"x").unwrap();
        directory.discard().unwrap_err();
        fs::write(directory.media_part(), b"").unwrap();
        directory.discard().unwrap();
        assert!(!directory.path().exists());
    }
}
