//! A node with one open recording, and followers that fail by script.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use blob::LocalDir;
use jobs::{JobsConfig, OpenFile, OpenFiles, SegmentsConfig, Workers};
use model::{Container, Recording, RecordingState, Rendition, RenditionState, Segment, SegmentState};
use store::{FinalizedRecording, NewRendition, Store as _};
use store_sqlite::SqliteStore;
use tokio_util::sync::CancellationToken;

use super::{
    PATIENCE, finished_file,
    follower::{Fault, SEGMENT},
    renderer::ScriptedRenderer,
    upload_job,
};

pub const MP3: &str = r#"{"kind":"mp3"}"#;
/// The length of a segment.
pub const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Live(pub Mutex<Vec<OpenFile>>);

impl OpenFiles for Live {
    fn files(&self) -> Vec<OpenFile> {
        self.0.lock().unwrap().clone()
    }
}

/// A node with one open recording.
pub struct Harness {
    pub directory: tempfile::TempDir,
    pub store: Arc<SqliteStore>,
    pub renderer: Arc<ScriptedRenderer>,
    pub live: Arc<Live>,
    pub shutdown: CancellationToken,
    pub workers: Option<Workers>,
    pub config: JobsConfig,
    /// The recording as it will be finalized.
    pub whole: Recording,
}

impl Harness {
    pub async fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self::with(faults, |_| {}).await
    }

    pub async fn with(
        faults: impl IntoIterator<Item = Fault>,
        change: impl FnOnce(&mut SegmentsConfig),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("spool")).unwrap();
        let store = Arc::new(SqliteStore::open(directory.path().join("recorder.db")).await.unwrap());
        store.migrate().await.unwrap();
        let renderer = Arc::new(ScriptedRenderer::default());
        renderer.followers.script(faults);
        let mut config = JobsConfig::new("a".parse().unwrap(), directory.path().join("spool"));
        config.workers.poll = Duration::from_millis(50).into();
        config.workers.first_backoff = Duration::from_millis(10).into();
        config.workers.max_backoff = Duration::from_millis(20).into();
        change(&mut config.segments);
        let whole = finished_file(&config, &[7; 3_500]);
        let begun = Recording {
            state: RecordingState::Recording,
            ended_at: None,
            end_reason: None,
            container: None,
            object_key: None,
            bytes: 0,
            sha256: None,
            ..whole.clone()
        };
        store.begin(&begun).await.unwrap();
        let (live, shutdown) = (Arc::new(Live::default()), CancellationToken::new());
        let mut harness = Self { directory, store, renderer, live, shutdown, workers: None, config, whole };
        harness.start();
        harness
    }

    pub fn start(&mut self) {
        let blobs = Arc::new(LocalDir::open(&self.directory.path().join("objects")).unwrap());
        let (config, store, renderer) = (self.config.clone(), self.store.clone(), self.renderer.clone());
        self.shutdown = CancellationToken::new();
        let workers = Workers::spawn(config, store, blobs, renderer, self.shutdown.clone());
        workers.watch_open_files(self.live.clone(), Arc::new(|_: &Recording| Vec::new()));
        self.workers = Some(workers);
    }

    /// Grows the file to this time of the recording: `SEGMENT` bytes for each interval.
    pub fn grows_to(&self, time: Duration, entries: usize) {
        let until = time.as_millis() as u64 * SEGMENT / INTERVAL.as_millis() as u64;
        *self.live.0.lock().unwrap() = vec![OpenFile {
            recording: self.whole.id,
            key: "key".to_owned(),
            container: Container::Webm,
            path: self.directory.path().join("spool/media.part"),
            from: 10,
            until,
            time,
            entries,
            recorded: time,
            bytes: until,
            derived: Arc::from([Arc::from(MP3)]),
        }];
    }

    /// Ends the recording and requests the rendition.
    pub async fn finalize(&self) -> Recording {
        let recording = self.whole.clone();
        self.live.0.lock().unwrap().clear();
        let key = recording.object_key.clone().unwrap();
        let mp3 = NewRendition {
            kind: "mp3".to_owned(),
            parameters: MP3.to_owned(),
            object_key: Rendition::object_key(&key, "mp3", "mp3"),
            content_type: "audio/mpeg".to_owned(),
        };
        let jobs = vec![upload_job(&self.config)];
        let finalized = FinalizedRecording { recording: recording.clone(), jobs, renditions: vec![mp3] };
        self.store.finalize(&finalized).await.unwrap();
        recording
    }

    pub async fn segments(&self) -> Vec<Segment> {
        self.store.segments_of(&self.whole.tenant, self.whole.id).await.unwrap()
    }

    /// Waits until the segments have these states.
    pub async fn states(&self, expected: &[SegmentState]) -> Vec<Segment> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let segments = self.segments().await;
            if segments.iter().map(|segment| segment.state).eq(expected.iter().copied()) {
                return segments;
            }
            assert!(Instant::now() < deadline, "{expected:?} expected, not {segments:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the rendition is available; returns it with the content of its file.
    pub async fn rendition(&self) -> (Rendition, Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let renditions = self.store.renditions_of(&self.whole.tenant, self.whole.id).await.unwrap();
            if let Some(rendition) =
                renditions.into_iter().find(|rendition| rendition.state == RenditionState::Available)
            {
                let path = self.directory.path().join("objects").join(&rendition.object_key);
                return (rendition, fs::read(path).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no rendition: {:#?}", self.store.jobs_of(self.whole.id).await);
    }

    /// Number of segment files. Directories may be removed while they are counted.
    pub fn files(&self) -> usize {
        let below =
            |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let recordings = below(self.directory.path().join("segments"));
        recordings.flat_map(below).flat_map(below).count()
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.workers.take().unwrap().stopped().await;
    }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
