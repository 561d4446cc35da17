//! A spool with sealed recordings, a queue in memory, and an object store that fails by script.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod blobs;
pub mod cluster;
pub mod follower;
pub mod harness;
pub mod queue;
pub mod renderer;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use blob::{BlobStore, LocalDir};
use chrono::Utc;
use jobs::{JobsConfig, Workers};
use model::{
    Channel, Container, EndReason, JobKind, JobState, NodeId, Recording, RecordingId, RecordingState, Source,
    TenantId,
};
use sha2::{Digest, Sha256};
use store::{NewJob, Store};
use tokio_util::sync::CancellationToken;

use blobs::ScriptedBlobs;
use queue::MemoryStore;
use renderer::ScriptedRenderer;

/// What one node has: a spool, a database, objects.
pub struct House {
    directory: tempfile::TempDir,
    pub store: Arc<MemoryStore>,
    pub blobs: Arc<ScriptedBlobs>,
    pub config: JobsConfig,
    shutdown: CancellationToken,
    workers: Mutex<Vec<Workers>>,
}

impl House {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let objects = LocalDir::open(&directory.path().join("objects")).unwrap();
        Self {
            store: Arc::default(),
            blobs: Arc::new(ScriptedBlobs::new(objects)),
            config: JobsConfig { max_attempts: 4, ..JobsConfig::new(NodeId::default(), spool) },
            directory,
            shutdown: CancellationToken::new(),
            workers: Mutex::default(),
        }
    }

    /// Starts workers; more on a second call.
    pub fn start(&self) {
        let (store, blobs): (Arc<dyn Store>, Arc<dyn BlobStore>) = (self.store.clone(), self.blobs.clone());
        let renderer = Arc::new(ScriptedRenderer::default());
        let workers = Workers::spawn(self.config.clone(), store, blobs, renderer, self.shutdown.clone());
        self.workers.lock().unwrap().push(workers);
    }

    /// Stops them; new ones can be started.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap());
        for workers in workers {
            workers.stopped().await;
        }
        self.shutdown = CancellationToken::new();
    }

    /// A sealed recording in the spool, its row, and its upload job.
    pub fn finalize(&self, content: &[u8]) -> Recording {
        let recording = sealed(&self.config, content);
        self.store.seal_now(&recording);
        recording
    }

    pub fn file(&self, recording: &Recording) -> PathBuf {
        file(&self.config, recording)
    }

    pub fn object(&self, recording: &Recording) -> PathBuf {
        self.directory.path().join("objects").join(recording.object_key.as_ref().unwrap())
    }

    pub fn state(&self, recording: &Recording) -> RecordingState {
        self.store.recording_now(recording.id).state
    }

    /// Waits, in virtual time, until the recording's job of this kind is in this state.
    pub async fn until(&self, recording: &Recording, kind: JobKind, state: JobState) {
        let is = || self.store.job(recording.id, kind).is_some_and(|job| job.state == state);
        let describe = || format!("{:?} {kind} is not {state}", self.store.job(recording.id, kind));
        wait_until(is, describe).await;
    }
}

/// Waits for at most a virtual hour.
pub async fn wait_until(is: impl Fn() -> bool, describe: impl Fn() -> String) {
    let waited = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(3600), waited).await;
    assert!(waited.is_ok(), "{}", describe());
}

pub fn file(config: &JobsConfig, recording: &Recording) -> PathBuf {
    let id = recording.id.to_string();
    config.spool.join(&id).join(format!("{id}.webm"))
}

/// Writes a sealed file into the spool; returns the recording's row.
pub fn sealed(config: &JobsConfig, content: &[u8]) -> Recording {
    let (id, started_at) = (RecordingId::new(), Utc::now());
    let recording = Recording {
        id,
        tenant: TenantId::default(),
        name: id.to_string(),
        correlation_id: String::new(),
        channel: Channel::Call,
        source: Source::Webrtc,
        node: config.node.clone(),
        state: RecordingState::Processing,
        started_at,
        ended_at: Some(started_at),
        end_reason: Some(EndReason::Requested),
        container: Some(Container::Webm),
        object_key: Some(Recording::object_key("media", id, started_at, Container::Webm)),
        duration: Duration::from_secs(1),
        bytes: content.len() as u64,
        sha256: Some(sha256(content)),
        error: None,
        tracks: Vec::new(),
        results: Vec::new(),
    };
    let file = file(config, &recording);
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    fs::write(file.with_file_name("manifest.json"), "{}").unwrap();
    recording
}

pub fn upload(config: &JobsConfig) -> NewJob {
    NewJob { kind: JobKind::Upload, node: Some(config.node.clone()), run_at: Utc::now() }
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
