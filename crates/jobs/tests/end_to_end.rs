//! Workers on the real stores: SQLite with a local directory, and with S3.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::Path, sync::Arc, time::Duration};

use blob::{AccessKey, BlobStore, ChecksumMode, LocalDir, S3, S3Config, Secret};
use jobs::{JobsConfig, Workers};
use model::{JobKind, JobState, NodeId, Recording, RecordingState};
use store::{FinalizedRecording, Store};
use store_sqlite::SqliteStore;
use support::{file, renderer::ScriptedRenderer, sealed, sha256, upload};
use testkit::servers::seaweedfs::SeaweedFs;
use tokio_util::sync::CancellationToken;

struct Node {
    config: JobsConfig,
    store: Arc<SqliteStore>,
    blobs: Arc<dyn BlobStore>,
    _directory: tempfile::TempDir,
}

impl Node {
    async fn new(blobs: impl AsyncFnOnce(&Path) -> Arc<dyn BlobStore>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let store = SqliteStore::open(directory.path().join("recorder.db")).await.unwrap();
        store.migrate().await.unwrap();
        let blobs = blobs(directory.path()).await;
        let config = JobsConfig {
            first_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(400),
            max_attempts: 1000,
            poll: Duration::from_millis(100),
            ..JobsConfig::new(NodeId::default(), spool)
        };
        Self { config, store: Arc::new(store), blobs, _directory: directory }
    }

    /// As capture does it: a session that began, its file, and its row with the upload's job.
    async fn record(&self, content: &[u8]) -> Recording {
        let recording = sealed(&self.config, content);
        let begun = Recording { state: RecordingState::Recording, ..recording.clone() };
        self.store.begin(&begun).await.unwrap();
        let sealed = FinalizedRecording {
            recording: recording.clone(),
            jobs: vec![upload(&self.config)],
            renditions: Vec::new(),
        };
        self.store.finalize(&sealed).await.unwrap();
        recording
    }

    fn start(&self, shutdown: &CancellationToken) -> Workers {
        let renderer = Arc::new(ScriptedRenderer::default());
        let (store, blobs) = (self.store.clone(), self.blobs.clone());
        Workers::spawn(self.config.clone(), store, blobs, renderer, shutdown.clone())
    }

    async fn until_done(&self, recording: &Recording) {
        let done = async {
            loop {
                let jobs = self.store.jobs_of(recording.id).await.unwrap();
                if jobs.len() == 2 && jobs.iter().all(|job| job.state == JobState::Done) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), done).await;
        assert!(waited.is_ok(), "{:?}", self.store.jobs_of(recording.id).await);
    }

    /// It is available, in the store as it was sealed, and no longer in the spool.
    async fn assert_safe(&self, recording: &Recording, content: &[u8]) {
        let row = self.store.recording(&recording.tenant, recording.id).await.unwrap();
        assert_eq!((row.state, row.error), (RecordingState::Available, None));
        let stored = self.blobs.head(row.object_key.as_ref().unwrap()).await.unwrap();
        assert_eq!((stored.bytes, stored.sha256), (content.len() as u64, Some(sha256(content))));
        assert!(!file(&self.config, recording).parent().unwrap().exists());
    }
}

async fn local(directory: &Path) -> Arc<dyn BlobStore> {
    Arc::new(LocalDir::open(&directory.join("objects")).unwrap())
}

async fn bucket(server: &SeaweedFs) -> Arc<dyn BlobStore> {
    let config = S3Config {
        endpoint: Some(server.url()),
        path_style: true,
        access_key: Some(AccessKey {
            id: server.access_key().to_owned(),
            secret: Secret::new(server.secret_key()),
            session_token: None,
        }),
        checksums: ChecksumMode::WhenRequired,
        part_bytes: 5 << 20,
        attempts: 1,
        ..S3Config::new(server.bucket(), "us-east-1")
    };
    Arc::new(S3::connect(&config).await.unwrap())
}

fn content(recording: u8) -> Vec<u8> {
    // One of two is larger than a part.
    let length = if recording.is_multiple_of(2) { 6 << 20 } else { 1000 };
    (0..length).map(|byte: u32| (byte / 7) as u8 ^ recording).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_become_available_with_sqlite_and_a_directory() {
    let (node, shutdown) = (Node::new(local).await, CancellationToken::new());
    let workers = [node.start(&shutdown), node.start(&shutdown)];
    for n in 0..6 {
        let recording = node.record(&content(n)).await;
        node.until_done(&recording).await;
        node.assert_safe(&recording, &content(n)).await;
        for job in node.store.jobs_of(recording.id).await.unwrap() {
            assert_eq!(job.attempts, 1, "{}", job.kind);
        }
    }
    shutdown.cancel();
    for workers in workers {
        workers.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_become_available_with_sqlite_and_s3_that_is_away_at_first() {
    let mut server = SeaweedFs::start().await.unwrap();
    let node = Node::new(async |_: &Path| bucket(&server).await).await;
    server.stop();
    let shutdown = CancellationToken::new();
    let workers = node.start(&shutdown);
    let mut recordings = Vec::new();
    for n in 0..4 {
        recordings.push(node.record(&content(n)).await);
    }
    let failed = async {
        while node.store.jobs_of(recordings[3].id).await.unwrap()[0].attempts < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), failed).await.unwrap();
    assert!(recordings.iter().all(|recording| file(&node.config, recording).exists()));
    server.start_again().await.unwrap();
    for (recording, n) in recordings.iter().zip(0..) {
        node.until_done(recording).await;
        node.assert_safe(recording, &content(n)).await;
    }
    shutdown.cancel();
    workers.stopped().await;
    assert_eq!(node.store.depth().await.unwrap(), Vec::<(JobKind, JobState, u64)>::new());
}
