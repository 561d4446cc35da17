//! Directories for the temporary files of renders.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::JobId;
use store::LeasedJob;
use uuid::Uuid;

/// A directory for one run of a job, `<work>/<job>.<lease>`, removed with its content on drop. The lease is part of the name
/// because an earlier run of the same job may go on for some seconds after it has lost its lease.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
}

impl WorkDirectory {
    /// Creates the directory, empty.
    pub fn make(root: &Path, run: &LeasedJob) -> io::Result<Self> {
        let path = root.join(format!("{}.{}", run.job.id, run.lease));
        remove(&path)?;
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a work directory can't be removed; the next start will try again");
        }
    }
}

/// Removes the directories of an earlier run of the process. Call it before any job runs.
pub(crate) fn sweep(root: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        // An operator may have configured a directory that holds other files, too.
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_work_directory) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn is_work_directory(name: &str) -> bool {
    let parts = name.split_once('.');
    parts.is_some_and(|(job, lease)| job.parse::<JobId>().is_ok() && lease.parse::<Uuid>().is_ok())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_work_directories_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join(format!("{}.{}", JobId::new(), Uuid::new_v4()));
        fs::create_dir_all(left.join("deep")).unwrap();
        // A UUID alone is the name of a recording's directory.
        let others = ["photos".to_owned(), Uuid::new_v4().to_string()].map(|name| root.path().join(name));
        others.iter().for_each(|other| fs::create_dir(other).unwrap());
        sweep(root.path()).unwrap();
        assert!(!left.exists() && others.iter().all(|other| other.exists()));
        sweep(&root.path().join("not there yet")).unwrap();
    }
}
