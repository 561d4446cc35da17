//! Directories that jobs work in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::JobId;
use store::LeasedJob;
use uuid::Uuid;

/// A directory of a run's own, `<work>/<job>.<lease>`, removed with all that is in it when this is dropped. An earlier run of
/// the job may take some seconds longer to notice that it is over.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
}

impl WorkDirectory {
    /// Makes it, empty.
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
            tracing::warn!(path = %self.path.display(), %error, "a job's directory is left to the next start");
        }
    }
}

/// Removes what a crash left. No job of this process may run yet.
pub(crate) fn sweep(root: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        // Only what a job has made: the directory may be one that an operator chose.
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_of_a_run) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn is_of_a_run(name: &str) -> bool {
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
    fn a_start_sweeps_what_runs_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join(format!("{}.{}", JobId::new(), Uuid::new_v4()));
        fs::create_dir_all(left.join("deep")).unwrap();
        // A recording's directory has such a name.
        let others = ["photos".to_owned(), Uuid::new_v4().to_string()].map(|name| root.path().join(name));
        others.iter().for_each(|other| fs::create_dir(other).unwrap());
        sweep(root.path()).unwrap();
        assert!(!left.exists() && others.iter().all(|other| other.exists()));
        sweep(&root.path().join("not there yet")).unwrap();
    }
}
