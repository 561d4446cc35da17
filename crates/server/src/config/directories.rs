//! Directories that must not be the same one.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Config;

impl Config {
    /// Each key whose directory is not named, or is that of another key. The directories of renders and of segments are
    /// emptied at start: in the spool that would delete recordings.
    pub(super) fn directory_faults(&self) -> Vec<(&'static str, String)> {
        let directories = [
            ("spool.directory", &self.spool.directory),
            ("jobs.work_directory", &self.jobs.work_directory),
            ("segments.directory", &self.segments.directory),
            ("blob.local.directory", &self.blob.local.directory),
        ];
        let mut faults = Vec::new();
        let mut seen: Vec<(&str, PathBuf)> = Vec::new();
        for (key, path) in directories {
            if path.as_os_str().is_empty() {
                faults.push((key, "has to name a directory".to_owned()));
                continue;
            }
            let resolved = resolve(path);
            if let Some((other, _)) = seen.iter().find(|(_, before)| *before == resolved) {
                faults.push((key, format!("is the directory of {other}, too: each needs its own")));
            }
            seen.push((key, resolved));
        }
        faults
    }
}

/// The path without links, as far as it exists.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in absolute.ancestors() {
        match ancestor.canonicalize() {
            Ok(found) => return found.join(absolute.strip_prefix(ancestor).unwrap_or(Path::new(""))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => break,
        }
    }
    absolute
}
