//! A node with SQLite and a directory of objects: workers, a spool, and faults by script.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use blob::LocalDir;
use jobs::{JobsConfig, Workers};
use model::{
    Job, JobKind, JobState, NodeId, Recording, RecordingState, Rendition, RenditionId, RenditionState,
};
use store::{FinalizedRecording, NewRendition, Store as _};
use store_sqlite::SqliteStore;
use tokio_util::sync::CancellationToken;

use super::{
    blobs::ScriptedBlobs, faulty_store::FaultyStore, finished_file, renderer::ScriptedRenderer, upload_job,
    wait_for,
};

pub struct LocalNode {
    pub store: Arc<FaultyStore>,
    pub blobs: Arc<ScriptedBlobs>,
    pub renderer: Arc<ScriptedRenderer>,
    pub config: JobsConfig,
    directory: tempfile::TempDir,
    shutdown: CancellationToken,
    workers: Mutex<Vec<Workers>>,
}

impl LocalNode {
    /// Waits are short; clean-ups do not wait for renders.
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let objects = LocalDir::open(&directory.path().join("objects")).unwrap();
        let mut config =
            JobsConfig { keep_for_renders: Duration::ZERO, ..JobsConfig::new(NodeId::default(), spool) };
        config.workers.first_backoff = Duration::from_millis(20).into();
        config.workers.max_backoff = Duration::from_millis(50).into();
        config.workers.upload_max_retry = 3;
        config.workers.transcoding_max_retry = 2;
        config.workers.poll = Duration::from_millis(100).into();
        Self {
            store: Arc::new(open_store(directory.path()).await),
            blobs: Arc::new(ScriptedBlobs::new(objects)),
            renderer: Arc::default(),
            config,
            directory,
            shutdown: CancellationToken::new(),
            workers: Mutex::default(),
        }
    }

    /// Opens the database once more, as another process does.
    pub async fn reopen_store(&mut self) {
        self.store = Arc::new(open_store(self.directory.path()).await);
    }

    /// Starts workers, beside those that run already.
    pub fn start(&self) {
        let (config, store, blobs) = (self.config.clone(), self.store.clone(), self.blobs.clone());
        let workers = Workers::spawn(config, store, blobs, self.renderer.clone(), self.shutdown.clone());
        self.workers.lock().unwrap().push(workers);
    }

    /// Stops all workers. Others can be started afterwards.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap());
        for workers in workers {
            workers.stopped().await;
        }
        self.shutdown = CancellationToken::new();
    }

    /// A finalized recording: its file in the spool, its row, its upload job.
    pub async fn finalize(&self, content: &[u8]) -> Recording {
        self.finalize_with(content, &[], |_| {}).await
    }

    /// The same, with renditions of these kinds, and with a change of the row.
    pub async fn finalize_with(
        &self,
        content: &[u8],
        renditions: &[&str],
        change: impl FnOnce(&mut Recording),
    ) -> Recording {
        let mut recording = finished_file(&self.config, content);
        let renditions = renditions.iter().map(|kind| new_rendition(&recording, kind)).collect();
        change(&mut recording);
        let store = self.store.sqlite();
        store.begin(&Recording { state: RecordingState::Recording, ..recording.clone() }).await.unwrap();
        let jobs = vec![upload_job(&self.config)];
        let finalized = FinalizedRecording { recording: recording.clone(), jobs, renditions };
        store.finalize(&finalized).await.unwrap();
        recording
    }

    /// The recording's directory in the spool.
    pub fn spooled(&self, recording: &Recording) -> PathBuf {
        self.config.spool.join(recording.id.to_string())
    }

    /// The finished file in the spool.
    pub fn file(&self, recording: &Recording) -> PathBuf {
        self.spooled(recording).join(format!("{}.webm", recording.id))
    }

    /// The recording's object.
    pub fn object(&self, recording: &Recording) -> PathBuf {
        self.object_at(recording.object_key.as_ref().unwrap())
    }

    pub fn object_at(&self, key: &str) -> PathBuf {
        self.directory.path().join("objects").join(key)
    }

    /// The recording's row as it is now.
    pub async fn row(&self, recording: &Recording) -> Recording {
        self.store.sqlite().recording(&recording.tenant, recording.id).await.unwrap()
    }

    pub async fn state(&self, recording: &Recording) -> RecordingState {
        self.row(recording).await.state
    }

    /// The recording's first job of a kind.
    pub async fn job(&self, recording: &Recording, kind: JobKind) -> Option<Job> {
        let jobs = self.store.sqlite().jobs_of(recording.id).await.unwrap();
        jobs.into_iter().find(|job| job.kind == kind)
    }

    /// Runs of a job, as counted for `max_attempts`.
    pub async fn attempts(&self, recording: &Recording, kind: JobKind) -> u32 {
        self.job(recording, kind).await.unwrap().attempts
    }

    /// Waits until the recording's job of this kind has this state.
    pub async fn until(&self, recording: &Recording, kind: JobKind, state: JobState) {
        let is = async || self.job(recording, kind).await.is_some_and(|job| job.state == state);
        wait_for(&format!("{kind} is {state}"), is).await;
    }

    /// Waits until an upload is on its way. Tests hold it there with [`ScriptedBlobs::hold`].
    pub async fn until_uploading(&self) {
        wait_for("an upload runs", async || self.blobs.running() == 1).await;
    }

    pub async fn request(&self, recording: &Recording, kind: &str) -> RenditionId {
        let new = new_rendition(recording, kind);
        let created = self.store.create_rendition(&recording.tenant, recording.id, &new).await;
        created.unwrap().rendition.id
    }

    pub async fn renditions(&self, recording: &Recording) -> Vec<Rendition> {
        self.store.renditions_of(&recording.tenant, recording.id).await.unwrap()
    }

    pub async fn rendition(&self, recording: &Recording, id: RenditionId) -> Rendition {
        self.store.rendition(&recording.tenant, id).await.unwrap()
    }

    /// Waits until the rendition has this state; returns it.
    pub async fn until_rendition(
        &self,
        recording: &Recording,
        id: RenditionId,
        state: RenditionState,
    ) -> Rendition {
        let is = async || self.rendition(recording, id).await.state == state;
        wait_for(&format!("the rendition is {state}"), is).await;
        self.rendition(recording, id).await
    }

    /// Waits until the local copy has been removed.
    pub async fn until_cleaned_up(&self, recording: &Recording) {
        wait_for("the clean-up", async || !self.spooled(recording).exists()).await;
    }

    pub fn assert_no_work_is_left(&self) {
        let left: Vec<_> = fs::read_dir(&self.config.workers.work_directory).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

async fn open_store(directory: &Path) -> FaultyStore {
    let sqlite = SqliteStore::open(directory.join("recorder.db")).await.unwrap();
    sqlite.migrate().await.unwrap();
    FaultyStore::new(sqlite)
}

fn new_rendition(recording: &Recording, kind: &str) -> NewRendition {
    NewRendition {
        kind: kind.to_owned(),
        parameters: format!(r#"{{"kind":"{kind}"}}"#),
        object_key: Rendition::object_key(recording.object_key.as_ref().unwrap(), kind, kind),
        content_type: "audio/mpeg".to_owned(),
    }
}
