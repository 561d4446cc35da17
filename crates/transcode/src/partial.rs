//! Files that have another name until they are complete.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{BadOption, TranscodeError};

/// `<output>.part`. Dropping it removes the file, unless [`finish`](Self::finish) or [`rename`](Self::rename) was called.
pub(crate) struct Partial {
    path: PathBuf,
    output: PathBuf,
    renamed: bool,
}

impl Partial {
    pub(crate) fn new(output: &Path) -> Self {
        Self { path: part_of(output), output: output.to_owned(), renamed: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable and renames it to the output. Returns its size in bytes.
    pub(crate) fn finish(self) -> Result<u64, TranscodeError> {
        let file =
            File::open(&self.path).map_err(|error| TranscodeError::io("opening the output", &error))?;
        file.sync_all().map_err(|error| TranscodeError::io("syncing the output", &error))?;
        let directory = self.output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let bytes = self.rename()?;
        // The rename changed the directory.
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| TranscodeError::io("syncing the output's directory", &error))?;
        Ok(bytes)
    }

    /// Renames the file to the output. Returns its size in bytes. A power loss can lose the file.
    pub(crate) fn rename(mut self) -> Result<u64, TranscodeError> {
        let bytes = fs::metadata(&self.path)
            .map_err(|error| TranscodeError::io("measuring the output", &error))?
            .len();
        fs::rename(&self.path, &self.output)
            .map_err(|error| TranscodeError::io("renaming the output", &error))?;
        self.renamed = true;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.renamed {
            // A file that doesn't exist counts as removed. Nothing can be done about other errors here.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The name of `output` until it is complete.
pub(crate) fn part_of(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".part");
    name.into()
}

/// Removes the incomplete files of a directory.
pub(crate) fn remove_parts(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    for part in entries.filter(|path| path.extension().is_some_and(|extension| extension == "part")) {
        let _ = fs::remove_file(part);
    }
}

/// `path` as a URL of libav. The prefix `file:` makes a name such as `http://…` or `concat:…` the name of a file.
pub(crate) fn url_of(path: &Path) -> Result<String, TranscodeError> {
    let name = path.to_str().filter(|name| !name.contains('\0') && !name.is_empty());
    let name = name.ok_or_else(|| {
        TranscodeError::BadOption(BadOption::new("path", "must be UTF-8, without a zero byte, and not empty"))
    })?;
    Ok(format!("file:{name}"))
}
