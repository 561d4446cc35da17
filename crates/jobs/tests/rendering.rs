//! Renditions, deletion and retention, on SQLite and a directory of objects.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use blob::LocalDir;
use chrono::{TimeDelta, Utc};
use jobs::{JobsConfig, RenderError, RetentionRule, Workers};
use model::{
    JobKind, JobState, NodeId, Progress, Recording, RecordingState, Rendition, RenditionId, RenditionState,
};
use store::{Cancellation, FinalizedRecording, NewRendition, Store as _};
use store_sqlite::SqliteStore;
use support::{
    renderer::{Render, ScriptedRenderer},
    sealed, upload,
};
use tokio_util::sync::CancellationToken;

const MEDIA: &[u8] = b"media";
/// How soon a render is gone whose job is cancelled.
const AT_ONCE: Duration = Duration::from_millis(200);

struct Place {
    config: JobsConfig,
    store: Arc<SqliteStore>,
    blobs: Arc<LocalDir>,
    renderer: Arc<ScriptedRenderer>,
    shutdown: CancellationToken,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let store = SqliteStore::open(directory.path().join("recorder.db")).await.unwrap();
        store.migrate().await.unwrap();
        let config = JobsConfig {
            first_backoff: Duration::from_millis(20),
            max_backoff: Duration::from_millis(50),
            render_max_attempts: 3,
            poll: Duration::from_millis(100),
            // Without waiting for renders, unless a test wants it.
            keep_for_renders: Duration::ZERO,
            ..JobsConfig::new(NodeId::default(), spool)
        };
        let blobs = Arc::new(LocalDir::open(&directory.path().join("objects")).unwrap());
        let (renderer, shutdown) = (Arc::default(), CancellationToken::new());
        Self { config, store: Arc::new(store), blobs, renderer, shutdown, directory }
    }

    fn start(&self) -> Workers {
        let (store, blobs) = (self.store.clone(), self.blobs.clone());
        Workers::spawn(self.config.clone(), store, blobs, self.renderer.clone(), self.shutdown.clone())
    }

    /// A sealed recording that is to be uploaded, with these renditions wanted from its beginning.
    async fn finalize(&self, kinds: &[&str]) -> Recording {
        let recording = sealed(&self.config, MEDIA);
        self.store.begin(&Recording { state: RecordingState::Recording, ..recording.clone() }).await.unwrap();
        let renditions = kinds.iter().map(|kind| new(&recording, kind)).collect();
        let sealed =
            FinalizedRecording { recording: recording.clone(), jobs: vec![upload(&self.config)], renditions };
        self.store.finalize(&sealed).await.unwrap();
        recording
    }

    async fn create(&self, recording: &Recording, kind: &str) -> RenditionId {
        let new = new(recording, kind);
        let created = self.store.create_rendition(&recording.tenant, recording.id, &new).await;
        created.unwrap().rendition.id
    }

    async fn rendition(&self, recording: &Recording, id: RenditionId) -> Rendition {
        self.store.rendition(&recording.tenant, id).await.unwrap()
    }

    async fn until(&self, recording: &Recording, id: RenditionId, state: RenditionState) -> Rendition {
        until(async || self.rendition(recording, id).await.state == state).await;
        self.rendition(recording, id).await
    }

    async fn until_cleaned_up(&self, recording: &Recording) {
        until(async || !self.spooled(recording).exists()).await;
    }

    fn spooled(&self, recording: &Recording) -> PathBuf {
        self.config.spool.join(recording.id.to_string())
    }

    fn object(&self, key: &str) -> PathBuf {
        self.directory.path().join("objects").join(key)
    }

    fn assert_no_work_is_left(&self) {
        let left: Vec<_> = fs::read_dir(&self.config.work).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn new(recording: &Recording, kind: &str) -> NewRendition {
    NewRendition {
        kind: kind.to_owned(),
        parameters: format!(r#"{{"kind":"{kind}"}}"#),
        object_key: Rendition::object_key(recording.object_key.as_ref().unwrap(), kind, kind),
        content_type: "audio/mpeg".to_owned(),
    }
}

async fn until(mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is().await {
        assert!(Instant::now() < deadline, "it did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn assert_holds(path: &Path, kind: &str) {
    let want = [format!(r#"{{"kind":"{kind}"}}"#).as_bytes(), MEDIA].concat();
    assert_eq!(fs::read(path).unwrap(), want);
}

#[tokio::test]
async fn renditions_wanted_from_the_beginning_and_later_are_made_and_stored() {
    let place = Place::new().await;
    let _workers = place.start();
    let recording = place.finalize(&["mp3", "wav"]).await;
    place.until_cleaned_up(&recording).await;
    place.create(&recording, "mp4").await;
    let renditions = place.store.renditions_of(&recording.tenant, recording.id).await.unwrap();
    assert_eq!(renditions.len(), 3);
    for made in renditions {
        let made = place.until(&recording, made.id, RenditionState::Available).await;
        let object = place.object(&made.object_key);
        assert_holds(&object, &made.kind);
        assert_eq!(made.bytes, fs::metadata(&object).unwrap().len());
        assert_eq!((made.width, made.height, made.duration), (640, 360, Duration::from_secs(1)));
        assert_eq!(made.sha256, Some(support::sha256(&fs::read(object).unwrap())));
    }
    until(async || fs::read_dir(&place.config.work).unwrap().count() == 0).await;
    let recording = place.store.recording(&recording.tenant, recording.id).await.unwrap();
    assert_eq!((recording.state, recording.error), (RecordingState::Available, None));
}

#[tokio::test]
async fn a_clean_up_waits_for_renders_and_then_runs_though_none_may_come() {
    let mut place = Place::new().await;
    place.config.keep_for_renders = Duration::from_secs(3600);
    place.renderer.script([Render::WorksOn(Progress::default())]);
    let _workers = place.start();
    let recording = place.finalize(&["mp3"]).await;
    until(async || {
        let jobs = place.store.jobs_of(recording.id).await.unwrap();
        let waits = |job: &model::Job| job.kind == JobKind::CleanUp && job.run_at > Utc::now();
        jobs.iter().any(waits)
    })
    .await;
    assert!(place.spooled(&recording).exists());
    let jobs = place.store.jobs_of(recording.id).await.unwrap();
    let clean_up = jobs.iter().find(|job| job.kind == JobKind::CleanUp).unwrap();
    assert_eq!((clean_up.state, clean_up.attempts), (JobState::Queued, 0));
    assert!(clean_up.run_at - Utc::now() <= TimeDelta::seconds(10));
}

#[tokio::test]
async fn media_that_can_not_be_rendered_parks_the_rendition_with_its_reason() {
    let place = Place::new().await;
    place.renderer.script([Render::Fails(RenderError::Permanent("the input can't be read: EBML".into()))]);
    let _workers = place.start();
    let recording = place.finalize(&["mp3"]).await;
    let id = place.store.renditions_of(&recording.tenant, recording.id).await.unwrap()[0].id;
    let parked = place.until(&recording, id, RenditionState::Parked).await;
    assert_eq!(parked.error.as_deref(), Some("the input can't be read: EBML"));
    assert_eq!(place.renderer.begun(), 1);
    until(async || {
        place.store.recording(&recording.tenant, recording.id).await.unwrap().state
            == RecordingState::Available
    })
    .await;
    place.store.retry(&recording.tenant, parked.job).await.unwrap();
    place.until(&recording, id, RenditionState::Available).await;
}

#[tokio::test]
async fn a_worker_that_dies_is_tried_again_a_few_times() {
    let place = Place::new().await;
    let killed = || Render::Fails(RenderError::Transient("ended by signal 9".into()));
    place.renderer.script([killed(), Render::Panics, killed()]);
    let _workers = place.start();
    let recording = place.finalize(&["mp3"]).await;
    let id = place.store.renditions_of(&recording.tenant, recording.id).await.unwrap()[0].id;
    let parked = place.until(&recording, id, RenditionState::Parked).await;
    assert_eq!((place.renderer.begun(), parked.error.as_deref()), (3, Some("ended by signal 9")));
    place.assert_no_work_is_left();
}

#[tokio::test]
async fn a_cancelled_render_stops_at_once_and_leaves_no_stub() {
    let place = Place::new().await;
    let progress = Progress { fraction: 0.25, speed: 3.5, remaining: Some(Duration::from_secs(9)) };
    let _workers = place.start();
    let recording = place.finalize(&[]).await;
    let mut took = Vec::new();
    // The best of several: a machine that does other things is late at times, but not each time.
    while took.iter().all(|took| *took >= AT_ONCE) {
        assert!(took.len() < 8, "gone after {took:?}");
        place.renderer.script([Render::WorksOn(progress)]);
        let id = place.create(&recording, "mp4").await;
        let job = place.until(&recording, id, RenditionState::InProgress).await.job;
        until(async || place.store.job(&recording.tenant, job).await.unwrap().progress == Some(progress))
            .await;

        assert_eq!(place.store.cancel(&recording.tenant, job).await.unwrap(), Cancellation::Now);
        let asked = Instant::now();
        while place.renderer.running() > 0 || fs::read_dir(&place.config.work).unwrap().count() > 0 {
            assert!(asked.elapsed() < Duration::from_secs(10), "it goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(asked.elapsed());
        assert_eq!(place.renderer.cancelled(), took.len());
        let cancelled = place.rendition(&recording, id).await;
        assert_eq!(cancelled.state, RenditionState::Cancelled);
        assert!(!place.object(&cancelled.object_key).exists());
        assert_eq!(place.store.job(&recording.tenant, job).await.unwrap().state, JobState::Cancelled);
    }
    eprintln!("gone after {took:?}");

    let id = place.create(&recording, "mp4").await;
    place.until(&recording, id, RenditionState::Available).await;
}

#[tokio::test]
async fn progress_is_written_at_most_each_second() {
    let place = Place::new().await;
    place.renderer.script([Render::TellsOften]);
    let _workers = place.start();
    let begun = Instant::now();
    let recording = place.finalize(&["mp3"]).await;
    let mut written = Vec::new();
    until(async || {
        let jobs = place.store.jobs_of(recording.id).await.unwrap();
        let render = jobs.into_iter().find(|job| job.kind == JobKind::Render).unwrap();
        let fraction = render.progress.map_or(0.0, |progress| progress.fraction);
        // The first that is written says that it has begun.
        if fraction > 0.0 && written.last() != Some(&fraction) {
            written.push(fraction);
        }
        written.len() == 3
    })
    .await;
    // However busy the machine is: the third is written two seconds after the first, not sooner.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{written:?} within {:?}", begun.elapsed());
    assert!(place.renderer.steps() > 30, "{} steps", place.renderer.steps());
}

#[tokio::test]
async fn a_shutdown_gives_a_render_back() {
    let place = Place::new().await;
    place.renderer.script([Render::WorksOn(Progress::default())]);
    let workers = place.start();
    let recording = place.finalize(&["mp3"]).await;
    until(async || place.renderer.running() == 1).await;
    place.shutdown.cancel();
    workers.stopped().await;
    place.assert_no_work_is_left();
    let jobs = place.store.jobs_of(recording.id).await.unwrap();
    let render = jobs.iter().find(|job| job.kind == JobKind::Render).unwrap();
    assert_eq!((render.state, render.attempts), (JobState::Queued, 0));
}

#[tokio::test]
async fn a_deleted_recording_leaves_no_object_and_no_local_file() {
    let mut place = Place::new().await;
    place.config.keep_for_renders = Duration::from_secs(3600);
    let _workers = place.start();
    let recording = place.finalize(&["mp3"]).await;
    let made = place.store.renditions_of(&recording.tenant, recording.id).await.unwrap().remove(0);
    place.until(&recording, made.id, RenditionState::Available).await;
    let object = place.object(recording.object_key.as_ref().unwrap());
    until(async || object.exists()).await;
    until(async || {
        place.store.recording(&recording.tenant, recording.id).await.unwrap().state
            == RecordingState::Available
    })
    .await;
    place.store.delete_recording(&recording.tenant, recording.id, "desk").await.unwrap();
    let rendered = place.object(&made.object_key);
    until(async || !object.exists() && !rendered.exists() && !place.spooled(&recording).exists()).await;
}

#[tokio::test]
async fn a_recording_that_is_deleted_while_it_is_rendered_does_not_come_back() {
    let mut place = Place::new().await;
    // Twice as long is what a deletion waits for runs that it has ended.
    place.config.lease = Duration::from_secs(3);
    place.renderer.script([Render::WorksOn(Progress::default())]);
    let _workers = place.start();
    let recording = place.finalize(&["mp3"]).await;
    until(async || place.renderer.running() == 1).await;
    place.store.delete_recording(&recording.tenant, recording.id, "").await.unwrap();
    until(async || place.renderer.cancelled() == 1).await;
    until(async || place.store.jobs_of(recording.id).await.unwrap().iter().all(|job| job.state.is_final()))
        .await;
    assert!(!place.object(recording.object_key.as_ref().unwrap()).exists());
    assert!(!place.spooled(&recording).exists());
    place.assert_no_work_is_left();
}

#[tokio::test]
async fn retention_deletes_what_is_older_than_its_rule_and_nothing_else() {
    let mut place = Place::new().await;
    let rule = |rendition: Option<&str>, after| RetentionRule {
        tenant: None,
        rendition: rendition.map(str::to_owned),
        after,
    };
    place.config.retention_interval = Duration::from_millis(50);
    place.config.retention = vec![rule(Some("mp3"), Duration::ZERO), rule(None, Duration::from_secs(3600))];
    let _workers = place.start();
    let kept = place.finalize(&["mp3", "wav"]).await;
    let renditions = place.store.renditions_of(&kept.tenant, kept.id).await.unwrap();
    let gone = place.until(&kept, renditions[0].id, RenditionState::Deleted).await;
    until(async || !place.object(&gone.object_key).exists()).await;
    place.until(&kept, renditions[1].id, RenditionState::Available).await;
    let state = place.store.recording(&kept.tenant, kept.id).await.unwrap().state;
    assert_ne!(state, RecordingState::Deleted);
    let audit = place.store.audit_of(&kept.tenant, kept.id).await.unwrap();
    assert_eq!((audit.len(), audit[0].actor.as_str()), (1, "retention"));
}
