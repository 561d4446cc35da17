//! `manifest.json`: from it a recording's row can be rebuilt without the database.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use model::Recording;
use serde::{Deserialize, Serialize};

use crate::RecordingDirectory;

/// How far a recording is on this disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Stage {
    /// `media.part` is open.
    Recording,
    /// The file is complete and durable. Its rename and the database's commit may be missing. `SEALED` is the name in
    /// manifests of all versions.
    #[serde(rename = "SEALED")]
    Finished,
    /// The database has committed it. Its jobs own the directory.
    Committed,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Always 1.
    pub(crate) version: u32,
    /// How far the recording is.
    pub(crate) stage: Stage,
    /// The recording, as it began or as it was finished.
    pub(crate) recording: Recording,
}

/// A manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It can't be read.
    #[error("the manifest can't be read: {0}")]
    Io(#[from] io::Error),
    /// It is not the JSON of a manifest.
    #[error("the manifest is broken: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version of the recorder wrote it.
    #[error("the manifest has version {0}, this recorder knows 1")]
    Version(u32),
}

impl Manifest {
    const VERSION: u32 = 1;
    /// A manifest has a few hundred bytes per track. A larger file is not a manifest of ours.
    const MAX_BYTES: u64 = 4 << 20;

    pub(crate) fn new(stage: Stage, recording: Recording) -> Self {
        Self { version: Self::VERSION, stage, recording }
    }

    /// Replaces the manifest atomically: readers see the previous one or this one. With `durable` its data is on disk when
    /// this returns; its directory entry needs [`RecordingDirectory::sync`].
    pub(crate) fn write(&self, directory: &RecordingDirectory, durable: bool) -> io::Result<()> {
        let part = directory.manifest_part();
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(part, directory.manifest())
    }

    /// Reads the manifest that [`write`](Self::write) wrote.
    pub(crate) fn read(directory: &RecordingDirectory) -> Result<Self, ManifestError> {
        let path = directory.manifest();
        if fs::metadata(&path)?.len() > Self::MAX_BYTES {
            return Err(io::Error::other("it is too large to be a manifest").into());
        }
        let manifest: Self = serde_json::from_slice(&fs::read(path)?)?;
        if manifest.version != Self::VERSION {
            return Err(ManifestError::Version(manifest.version));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    /// A recording as it begins.
    pub(crate) fn begun() -> Recording {
        let text = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","tenant":"acme","name":"n","correlation_id":"",
            "channel":"CALL","source":"WEBRTC","node":"node-1","state":"RECORDING",
            "started_at":"2026-03-04T05:06:07Z","ended_at":null,"end_reason":null,"container":null,
            "object_key":null,"duration":{"secs":0,"nanos":0},"bytes":0,"sha256":null,"error":null,"tracks":[]}"#;
        serde_json::from_str(text).unwrap()
    }

    fn directory(spool: &Path) -> RecordingDirectory {
        let directory = RecordingDirectory::new(spool, begun().id);
        fs::create_dir(directory.path()).unwrap();
        directory
    }

    #[test]
    fn the_last_manifest_that_was_written_is_read() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        for stage in [Stage::Recording, Stage::Finished, Stage::Committed] {
            Manifest::new(stage, begun()).write(&directory, true).unwrap();
            assert_eq!(Manifest::read(&directory).unwrap(), Manifest::new(stage, begun()));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_manifest_or_one_of_another_version_is_an_error() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Io(_))));
        fs::write(directory.manifest(), b"{\"version\":1,").unwrap();
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Json(_))));
        let future = Manifest { version: 2, ..Manifest::new(Stage::Finished, begun()) };
        fs::write(directory.manifest(), serde_json::to_vec(&future).unwrap()).unwrap();
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Version(2))));
        fs::write(directory.manifest(), vec![b' '; 5 << 20]).unwrap();
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Io(_))));
    }
}
