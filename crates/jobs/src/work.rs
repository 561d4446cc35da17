//! Directories that jobs work in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::JobId;

/// A directory of a job's own, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
}

impl WorkDirectory {
    /// Makes it, empty: what an earlier run of the job left goes.
    pub fn make(root: &Path, job: JobId) -> io::Result<Self> {
        let path = root.join(job.to_string());
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
        let named = path.file_name().and_then(|name| name.to_str());
        if named.is_some_and(|name| name.parse::<JobId>().is_ok()) {
            remove(&path)?;
        }
    }
    Ok(())
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
    fn a_jobs_directory_begins_empty_and_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let job = JobId::new();
        let left = root.path().join(job.to_string());
        fs::create_dir(&left).unwrap();
        fs::write(left.join("stub"), "half").unwrap();
        let work = WorkDirectory::make(root.path(), job).unwrap();
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
        fs::write(work.path().join("output"), "half").unwrap();
        drop(work);
        assert!(!left.exists());
    }

    #[test]
    fn a_start_sweeps_what_jobs_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join(JobId::new().to_string());
        fs::create_dir_all(left.join("deep")).unwrap();
        fs::create_dir(root.path().join("photos")).unwrap();
        sweep(root.path()).unwrap();
        assert!(!left.exists() && root.path().join("photos").exists());
        sweep(&root.path().join("not there yet")).unwrap();
    }
}
