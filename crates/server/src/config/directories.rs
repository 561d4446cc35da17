//! Directories that must not be one and the same.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Config;

impl Config {
    /// Each key whose directory is also that of a key before it, with that key. What is left in the directories of renders
    /// and of segments is removed at a start: in the spool that would be recordings.
    pub(super) fn shared_directories(&self) -> Vec<(&'static str, &'static str)> {
        let directories = [
            ("spool.directory", &self.spool.directory),
            ("jobs.work_directory", &self.jobs.work_directory),
            ("segments.directory", &self.segments.directory),
            ("blob.local.directory", &self.blob.local.directory),
        ];
        let resolved = directories.map(|(key, path)| (key, resolve(path)));
        let same = |(index, (key, path)): (usize, &(&'static str, PathBuf))| {
            let first = resolved.iter().take(index).find(|(_, before)| before == path);
            first.map(|(before, _)| (*key, *before))
        };
        resolved.iter().enumerate().filter_map(same).collect()
    }
}

/// The path without links, as far as it is there.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in absolute.ancestors() {
        match there.canonicalize() {
            Ok(found) => return found.join(absolute.strip_prefix(there).unwrap_or(Path::new(""))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => break,
        }
    }
    absolute
}
