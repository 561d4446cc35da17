//! Directories for segments.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use model::RecordingId;
use uuid::Uuid;

/// A follower's directory, `<segments>/<recording>/<run>`, removed with its content on drop.
#[derive(Debug)]
pub(crate) struct SegmentDirectory {
    path: PathBuf,
}

impl SegmentDirectory {
    pub fn make(root: &Path, recording: RecordingId) -> io::Result<Self> {
        let path = root.join(recording.to_string()).join(Uuid::new_v4().to_string());
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SegmentDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "segments can't be removed; the periodic task will try again");
        }
        // Not empty if another rendition of the recording is followed.
        if let Some(of_recording) = self.path.parent() {
            let _ = fs::remove_dir(of_recording);
        }
    }
}

/// Removes the directories of recordings without a follower that were last changed `age` ago. Returns their number. Blocks.
pub(crate) fn sweep(
    root: &Path,
    age: Duration,
    is_followed: impl Fn(RecordingId) -> bool,
) -> io::Result<usize> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        // An operator may have configured a directory that holds other files, too.
        let recording = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(recording) = recording else { continue };
        if !holds_only_runs(&entry.path())? {
            continue;
        }
        if !is_followed(recording) && last_change(&entry.path())?.elapsed().unwrap_or_default() >= age {
            fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether every entry is the directory of a run. A recording's directory in the spool has the same name, but holds files.
fn holds_only_runs(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let named = entry.file_name().to_str().is_some_and(|name| Uuid::parse_str(name).is_ok());
        if !named || !entry.file_type()?.is_dir() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When an entry was last created or removed in a recording's directory or in a run's.
fn last_change(path: &Path) -> io::Result<SystemTime> {
    let mut last = fs::metadata(path)?.modified()?;
    for run in fs::read_dir(path)? {
        last = last.max(run?.metadata()?.modified()?);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_removed_with_their_follower_and_not_those_of_another() {
        let root = tempfile::tempdir().unwrap();
        let recording = RecordingId::new();
        let mp3 = SegmentDirectory::make(root.path(), recording).unwrap();
        let wav = SegmentDirectory::make(root.path(), recording).unwrap();
        fs::write(mp3.path().join("0"), "sound").unwrap();
        drop(mp3);
        assert!(wav.path().exists());
        drop(wav);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_sweep_removes_old_segments_without_a_follower_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (followed, left) = (RecordingId::new(), RecordingId::new());
        for recording in [followed, left] {
            let run = Uuid::new_v4().to_string();
            fs::create_dir_all(root.path().join(recording.to_string()).join(run)).unwrap();
        }
        fs::create_dir(root.path().join("photos")).unwrap();
        let spooled = root.path().join(RecordingId::new().to_string());
        fs::create_dir(&spooled).unwrap();
        fs::write(spooled.join("manifest.json"), "{}").unwrap();
        let sweep = |age| sweep(root.path(), age, |recording| recording == followed).unwrap();
        assert_eq!(sweep(Duration::from_secs(3600)), 0);
        assert_eq!(sweep(Duration::ZERO), 1);
        assert!(root.path().join(followed.to_string()).exists() && root.path().join("photos").exists());
        assert!(spooled.exists() && !root.path().join(left.to_string()).exists());
    }
}
