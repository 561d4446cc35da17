//! Nodes with open recordings, on one SQLite database and one real S3 server.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use blob::{BlobStore, PartUploads, S3, S3Config, Secret};
use chrono::Utc;
use jobs::{JobsConfig, OpenFile, OpenFiles, Workers};
use model::{
    Channel, Container, EndReason, JobKind, JobState, Recording, RecordingId, RecordingState, Rendition,
    Source, TenantId,
};
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use store::{FinalizedRecording, NewRendition, Store as _};
use store_sqlite::SqliteStore;
use testkit::servers::seaweedfs::SeaweedFs;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{renderer::ScriptedRenderer, sha256, upload_job, wait_for};

pub const PART: usize = 5 << 20;
/// Size of the header in bytes. It changes when the recording ends.
const HEADER: usize = 8000;

/// The open files of a node.
#[derive(Default)]
struct Live(Mutex<Vec<OpenFile>>);

impl OpenFiles for Live {
    fn files(&self) -> Vec<OpenFile> {
        self.0.lock().unwrap().clone()
    }
}

/// A bucket and a database, shared by nodes.
pub struct Cluster {
    pub server: SeaweedFs,
    pub store: Arc<SqliteStore>,
    pub part_bytes: u64,
    /// How long a request may take. Long enough for a busy machine; shorter in tests in which requests hang.
    pub attempt_timeout: Duration,
    directory: tempfile::TempDir,
}

impl Cluster {
    pub async fn new() -> Self {
        Self::with_parts_of(PART as u64).await
    }

    pub async fn with_parts_of(part_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("recorder.db")).await.unwrap();
        store.migrate().await.unwrap();
        let server = SeaweedFs::start().await.unwrap();
        Self {
            server,
            store: Arc::new(store),
            part_bytes,
            attempt_timeout: Duration::from_secs(30),
            directory,
        }
    }

    pub async fn s3(&self, url: String) -> S3 {
        let config = S3Config {
            endpoint: Some(url),
            path_style: true,
            access_key: Some(Secret::new(self.server.access_key())),
            secret_key: Some(Secret::new(self.server.secret_key())),
            part_bytes: self.part_bytes.into(),
            attempts: 1,
            attempt_timeout: self.attempt_timeout,
            slowest: std::num::NonZeroU64::MAX,
            ..S3Config::new(self.server.bucket(), "us-east-1")
        };
        S3::connect(&config).await.unwrap()
    }

    pub async fn node(&self, name: &str) -> TestNode {
        self.node_through(name, self.server.url()).await
    }

    pub async fn node_through(&self, name: &str, url: String) -> TestNode {
        let spool = self.directory.path().join(name);
        fs::create_dir(&spool).unwrap();
        let mut config = JobsConfig {
            base_path: "media".into(),
            maintenance_interval: Duration::from_millis(200),
            ..JobsConfig::new(name.parse().unwrap(), spool)
        };
        config.workers.first_backoff = Duration::from_millis(50).into();
        config.workers.max_backoff = Duration::from_millis(400).into();
        config.workers.upload_max_retry = 999;
        config.workers.poll = Duration::from_millis(100).into();
        let blobs = Arc::new(self.s3(url).await);
        let (store, renderer) = (self.store.clone(), Arc::default());
        TestNode {
            config,
            store,
            blobs,
            renderer,
            default_renditions: Vec::new(),
            live: Arc::default(),
            running: None,
        }
    }

    /// Asserts that no multipart upload is open.
    pub async fn assert_no_orphans(&self) {
        let s3 = self.s3(self.server.url()).await;
        let open = s3.open("").await.unwrap();
        assert_eq!(open, [], "uploads were left open");
    }

    /// The object's content.
    pub async fn object(&self, key: &str) -> Vec<u8> {
        let path = self.directory.path().join("download");
        self.s3(self.server.url()).await.get_file(key, &path).await.unwrap();
        fs::read(path).unwrap()
    }
}

/// A rendition that the scripted renderer makes.
fn new_rendition(recording: &Recording, kind: &str) -> NewRendition {
    let key = recording.object_key.as_deref().unwrap();
    NewRendition {
        kind: kind.to_owned(),
        parameters: format!("{{\"kind\":\"{kind}\"}}"),
        object_key: Rendition::object_key(key, kind, "bin"),
        content_type: "application/octet-stream".to_owned(),
    }
}

pub struct TestNode {
    pub config: JobsConfig,
    pub store: Arc<SqliteStore>,
    pub blobs: Arc<S3>,
    pub renderer: Arc<ScriptedRenderer>,
    /// Kinds of renditions that the configuration requests of every recording.
    pub default_renditions: Vec<&'static str>,
    live: Arc<Live>,
    running: Option<(CancellationToken, Workers)>,
}

impl TestNode {
    pub fn start(&mut self) {
        self.start_without_open_files();
        if let Some((_, workers)) = &self.running {
            let default_renditions = self.default_renditions.clone();
            let of_recording = move |recording: &Recording| -> Vec<NewRendition> {
                let kinds = default_renditions.iter();
                kinds.map(|kind| new_rendition(recording, kind)).collect()
            };
            workers.watch_open_files(self.live.clone(), Arc::new(of_recording));
        }
    }

    pub fn start_without_open_files(&mut self) {
        let (store, blobs): (_, Arc<dyn BlobStore>) = (self.store.clone(), self.blobs.clone());
        let shutdown = CancellationToken::new();
        let renderer = self.renderer.clone();
        let workers = Workers::spawn(self.config.clone(), store, blobs, renderer, shutdown.clone());
        self.running = Some((shutdown, workers));
    }

    pub async fn stop(&mut self) {
        if let Some((shutdown, workers)) = self.running.take() {
            shutdown.cancel();
            workers.stopped().await;
        }
    }

    /// As after a crash: no file is open any more.
    pub async fn crash(&mut self) {
        self.stop().await;
        self.live.0.lock().unwrap().clear();
    }

    pub async fn beat(&self) {
        self.store.heartbeat(&self.config.node, "127.0.0.1:1", false).await.unwrap();
    }

    /// Sends heartbeats until the returned set is dropped.
    pub async fn beat_until_dropped(&self) -> JoinSet<()> {
        self.beat().await;
        let (store, node) = (self.store.clone(), self.config.node.clone());
        let mut beats = JoinSet::new();
        beats.spawn(async move {
            loop {
                store.heartbeat(&node, "127.0.0.1:1", false).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        beats
    }

    /// A session that begins, with an open file.
    pub async fn begin(&self) -> TestRecording {
        self.begin_as(Container::Webm).await
    }

    pub async fn begin_as(&self, container: Container) -> TestRecording {
        let (id, started_at) = (RecordingId::new(), Utc::now());
        let begun = Recording {
            id,
            tenant: TenantId::default(),
            name: id.to_string(),
            correlation_id: String::new(),
            channel: Channel::Call,
            source: Source::Webrtc,
            node: self.config.node.clone(),
            state: RecordingState::Recording,
            started_at,
            ended_at: None,
            end_reason: None,
            container: None,
            object_key: None,
            duration: Duration::ZERO,
            bytes: 0,
            sha256: None,
            error: None,
            tracks: Vec::new(),
            results: Vec::new(),
        };
        self.store.begin(&begun).await.unwrap();
        let directory = self.config.spool.join(id.to_string());
        fs::create_dir(&directory).unwrap();
        let file = File::create_new(directory.join("media.part")).unwrap();
        let mut recording = TestRecording {
            begun,
            directory,
            file,
            content: Vec::new(),
            container,
            entries: 1,
            live: self.live.clone(),
        };
        recording.grow(HEADER);
        recording
    }

    /// Waits until the journal has so many parts of the recording, the provisional one among them.
    pub async fn until_sent(&self, recording: &TestRecording, parts: usize) {
        let sent = async || {
            self.store.upload_of(recording.begun.id).await.unwrap().map_or(0, |(_, parts)| parts.len())
        };
        wait_for(&format!("{parts} parts sent"), async || sent().await >= parts).await;
    }

    pub async fn row(&self, recording: &TestRecording) -> Recording {
        self.store.recording(&recording.begun.tenant, recording.begun.id).await.unwrap()
    }

    /// Waits until the recording is AVAILABLE; returns how long that took.
    pub async fn until_available(&self, recording: &TestRecording) -> Duration {
        let begun = Instant::now();
        wait_for("available", async || self.row(recording).await.state == RecordingState::Available).await;
        begun.elapsed()
    }

    /// Waits until all jobs are done and the local copy is removed.
    pub async fn until_cleaned_up(&self, recording: &TestRecording) {
        let id = recording.begun.id;
        wait_for("the clean-up", async || {
            let jobs = self.store.jobs_of(id).await.unwrap();
            jobs.len() >= 2 && jobs.iter().all(|job| job.state == JobState::Done)
        })
        .await;
        assert!(!recording.directory.exists());
    }

    pub async fn attempts(&self, recording: &TestRecording, kind: JobKind) -> u32 {
        let jobs = self.store.jobs_of(recording.begun.id).await.unwrap();
        jobs.iter().filter(|job| job.kind == kind).map(|job| job.attempts).sum()
    }
}

/// A recording whose file is open.
pub struct TestRecording {
    pub begun: Recording,
    pub directory: PathBuf,
    file: File,
    pub content: Vec<u8>,
    pub container: Container,
    entries: usize,
    live: Arc<Live>,
}

impl TestRecording {
    /// Appends random bytes. All of them are final.
    pub fn grow(&mut self, bytes: usize) {
        let mut more = vec![0; bytes];
        SmallRng::seed_from_u64(self.content.len() as u64).fill_bytes(&mut more);
        self.file.write_all(&more).unwrap();
        self.content.extend(more);
        self.publish();
    }

    /// Changes the header, as a joining track does.
    pub fn join_track(&mut self) {
        self.patch(100, &[self.entries as u8; 500]);
        self.entries += 1;
        self.publish();
    }

    /// Changes the file format, as a codec does that WebM does not have.
    pub fn change_container(&mut self, container: Container) {
        self.container = container;
        self.publish();
    }

    pub fn patch(&mut self, offset: usize, bytes: &[u8]) {
        self.file.write_all_at(bytes, offset as u64).unwrap();
        self.content[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub fn sync(&self) {
        self.file.sync_all().unwrap();
    }

    /// Cuts the end off, as recovery after a crash does.
    pub fn truncate(&mut self, bytes: usize) {
        self.file.set_len(bytes as u64).unwrap();
        self.content.truncate(bytes);
    }

    fn publish(&self) {
        let file = OpenFile {
            recording: self.begun.id,
            key: self.key(),
            container: self.container,
            path: self.directory.join("media.part"),
            from: HEADER as u64,
            until: self.content.len() as u64,
            time: Duration::ZERO,
            entries: self.entries,
            recorded: Duration::ZERO,
            bytes: self.content.len() as u64,
            derived: Arc::default(),
        };
        let mut live = self.live.0.lock().unwrap();
        live.retain(|file| file.recording != self.begun.id);
        live.push(file);
    }

    pub fn key(&self) -> String {
        Recording::object_key("media", self.begun.id, self.begun.started_at, self.container)
    }

    pub fn sha256(&self) -> String {
        sha256(&self.content)
    }

    pub fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.{}", self.begun.id, self.container.extension()))
    }

    /// Ends the recording: final header, index, file name, row and jobs.
    pub async fn finalize(&mut self, node: &TestNode, reason: EndReason) -> Recording {
        self.live.0.lock().unwrap().retain(|file| file.recording != self.begun.id);
        self.patch(10, &[0xAB; 3000]);
        let index = vec![0xCD; 1234];
        self.file.write_all_at(&index, self.content.len() as u64).unwrap();
        self.content.extend(index);
        self.file.sync_all().unwrap();
        fs::write(self.directory.join("manifest.json"), "{}").unwrap();
        fs::rename(self.directory.join("media.part"), self.file()).unwrap();
        let recording = Recording {
            state: RecordingState::Processing,
            ended_at: Some(Utc::now()),
            end_reason: Some(reason),
            container: Some(self.container),
            object_key: Some(self.key()),
            duration: Duration::from_secs(1),
            bytes: self.content.len() as u64,
            ..self.begun.clone()
        };
        let renditions = node.default_renditions.iter().map(|kind| new_rendition(&recording, kind)).collect();
        let jobs = vec![upload_job(&node.config)];
        let finalized = FinalizedRecording { recording: recording.clone(), jobs, renditions };
        node.store.finalize(&finalized).await.unwrap();
        recording
    }
}

/// Waits until the recording is AVAILABLE as it was finalized and its local copy is gone. Nothing else may be left of it.
pub async fn assert_safe(cluster: &Cluster, node: &TestNode, recording: &TestRecording) {
    node.until_available(recording).await;
    node.until_cleaned_up(recording).await;
    let row = node.row(recording).await;
    assert_eq!((row.state, row.error), (RecordingState::Available, None));
    assert_eq!(row.sha256, Some(recording.sha256()));
    let object = cluster.object(&row.object_key.unwrap()).await;
    assert!(object == recording.content, "the object is not the finished file");
    assert_eq!(node.store.upload_of(recording.begun.id).await.unwrap(), None);
    cluster.assert_no_orphans().await;
}
