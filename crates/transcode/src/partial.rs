//! The file that is written under another name until it is whole.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{BadOption, TranscodeError};

/// `<output>.part`: removed when dropped, unless it was [kept](Self::keep).
pub(crate) struct Partial {
    path: PathBuf,
    output: PathBuf,
    kept: bool,
}

impl Partial {
    pub(crate) fn new(output: &Path) -> Self {
        Self { path: part_of(output), output: output.to_owned(), kept: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file durable, gives it its name and tells its size.
    pub(crate) fn keep(self) -> Result<u64, TranscodeError> {
        let file =
            File::open(&self.path).map_err(|error| TranscodeError::io("opening the output", &error))?;
        file.sync_all().map_err(|error| TranscodeError::io("syncing the output", &error))?;
        let directory = self.output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let bytes = self.name()?;
        // The name is an entry of the directory.
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| TranscodeError::io("syncing the output's directory", &error))?;
        Ok(bytes)
    }

    /// Gives the file its name and tells its size; a crash of the machine may lose it.
    pub(crate) fn name(mut self) -> Result<u64, TranscodeError> {
        let bytes = fs::metadata(&self.path)
            .map_err(|error| TranscodeError::io("measuring the output", &error))?
            .len();
        fs::rename(&self.path, &self.output)
            .map_err(|error| TranscodeError::io("renaming the output", &error))?;
        self.kept = true;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing there is as good as removed; nothing else could be done about another error.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The name under which `output` is written.
pub(crate) fn part_of(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".part");
    name.into()
}

/// Removes what was left half-written in a directory.
pub(crate) fn remove_parts(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    for part in entries.filter(|path| path.extension().is_some_and(|extension| extension == "part")) {
        let _ = fs::remove_file(part);
    }
}

/// `path` as libav takes it. With the protocol in front, a name such as `http://…` or `concat:…` is a file's name and
/// nothing else.
pub(crate) fn url_of(path: &Path) -> Result<String, TranscodeError> {
    let name = path.to_str().filter(|name| !name.contains('\0') && !name.is_empty());
    let name = name.ok_or_else(|| {
        TranscodeError::BadOption(BadOption::new("path", "must be UTF-8, without a zero byte, and not empty"))
    })?;
    Ok(format!("file:{name}"))
}
