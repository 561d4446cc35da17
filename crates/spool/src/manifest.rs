//! What a session's directory says about itself, so that it outlives the process.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use model::Recording;
use serde::{Deserialize, Serialize};

use crate::SessionDirectory;

/// How far a recording has come on this disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Stage {
    /// `media.part` is being written.
    Recording,
    /// The media is complete and safe; what is left is to give it its name and to tell the ledger.
    Sealed,
    /// The ledger has committed it: its jobs own the directory now.
    Committed,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest's version: 1.
    pub version: u32,
    /// How far the recording has come.
    pub stage: Stage,
    /// The recording: as it began, or as it was sealed.
    pub recording: Recording,
}

/// The manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("the manifest is broken: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the manifest has version {0}, this recorder knows 1")]
    Version(u32),
}

impl Manifest {
    const VERSION: u32 = 1;
    /// A manifest holds a few hundred bytes a track; what is larger is none of ours.
    const MAX_BYTES: u64 = 4 << 20;

    pub fn new(stage: Stage, recording: Recording) -> Self {
        Self { version: Self::VERSION, stage, recording }
    }

    /// Writes it in one step: whoever reads sees the one before or this one. With `durable` it is on disk when this
    /// returns, the directory's entry aside ([`SessionDirectory::sync`]).
    pub fn write(&self, directory: &SessionDirectory, durable: bool) -> io::Result<()> {
        let part = directory.manifest_part();
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(part, directory.manifest())
    }

    /// Reads what [`write`](Self::write) wrote.
    pub fn read(directory: &SessionDirectory) -> Result<Self, ManifestError> {
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
pub mod tests {
    use std::path::Path;

    use crate::*;

    /// A recording as it begins.
    pub fn begun() -> Recording {
        let text = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","tenant":"acme","name":"n","correlation_id":"",
            "channel":"CALL","source":"WEBRTC","node":"node-1","state":"RECORDING",
            "started_at":"2026-03-04T05:06:07Z","ended_at":null,"end_reason":null,"container":null,
            "object_key":null,"duration":{"secs":0,"nanos":0},"bytes":0,"sha256":null,"error":null,"tracks":[]}"#;
        serde_json::from_str(text).unwrap()
    }

    fn directory(spool: &Path) -> SessionDirectory {
        let directory = SessionDirectory::new(spool, begun().id);
        fs::create_dir(directory.path()).unwrap();
        directory
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_last_written() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        for stage in [Stage::Recording, Stage::Sealed, Stage::Committed] {
            Manifest::new(stage, begun()).write(&directory, true).unwrap();
            assert_eq!(Manifest::read(&directory).unwrap(), Manifest::new(stage, begun()));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_manifest_that_is_broken_or_of_another_version_is_an_error() {
        let spool = tempfile::tempdir().unwrap();
        let directory = directory(spool.path());
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Io(_))));
        fs::write(directory.manifest(), b"{\"version\":1,").unwrap();
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Json(_))));
        let future = Manifest { version: 2, ..Manifest::new(Stage::Sealed, begun()) };
        fs::write(directory.manifest(), serde_json::to_vec(&future).unwrap()).unwrap();
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Version(2))));
        fs::write(directory.manifest(), vec![b' '; 5 << 20]).unwrap();
        assert!(matches!(Manifest::read(&directory), Err(ManifestError::Io(_))));
    }
}
