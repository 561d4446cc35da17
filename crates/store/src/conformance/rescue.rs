//! Rescued uploads of lost nodes: the renditions of their recordings, also when the nodes return.

use std::time::Duration;

use model::{
    Container, JobId, JobKind, JobState, Recording, RecordingState, Rendition, RenditionId, RenditionState,
};

use super::sample::{LONG, begun, finalized, lease, mp3, node, tenant, upload as upload_job};
use crate::{
    Change, FinalizeOutcome, FinalizedRecording, JobOutcome, LeasedJob, NewRendition, RenderedFile, Store,
    StoreError, Upload,
};

const MISSING: Option<&str> = Some("the end is missing");

fn upload(recording: &Recording) -> Upload {
    Upload {
        recording: recording.id,
        node: recording.node.clone(),
        key: Recording::object_key("media", recording.id, recording.started_at, Container::Webm),
        id: format!("upload-of-{}", recording.id),
        container: Container::Webm,
        rescued: false,
    }
}

fn wav(recording: &Recording) -> NewRendition {
    let key = Rendition::object_key(&upload(recording).key, "wav", "wav");
    NewRendition {
        kind: "wav".to_owned(),
        parameters: r#"{"kind":"wav"}"#.to_owned(),
        object_key: key,
        ..mp3(recording)
    }
}

fn file(bytes: u64) -> RenderedFile {
    let sha256 = "ab".repeat(32);
    RenderedFile { bytes, duration: Duration::from_secs(1), width: 0, height: 0, sha256 }
}

/// A live session on node `a`, and its upload.
async fn streaming(store: &dyn Store) -> (Recording, Upload) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    let upload = upload(&recording);
    store.begin_upload(&upload).await.unwrap();
    (recording, upload)
}

/// A recording that node `a` has finalized, with an mp3 as a default rendition and a running upload.
async fn uploading(store: &dyn Store) -> (Recording, Upload) {
    let (begun, upload) = streaming(store).await;
    let recording = finalized(&begun);
    let renditions = vec![mp3(&recording)];
    let finalized = FinalizedRecording { recording: recording.clone(), jobs: vec![upload_job()], renditions };
    store.finalize(&finalized).await.unwrap();
    (recording, upload)
}

async fn render_on(store: &dyn Store, name: &str) -> Option<LeasedJob> {
    store.lease(&node(name), &[JobKind::Render], LONG).await.unwrap()
}

/// Runs the next render job on node `b`. Returns its rendition.
async fn render(store: &dyn Store, bytes: u64) -> RenditionId {
    let leased = render_on(store, "b").await.unwrap();
    store.finish(&leased, JobOutcome::Rendered(file(bytes))).await.unwrap();
    leased.job.rendition.unwrap()
}

async fn made(store: &dyn Store, recording: &Recording) -> Vec<(String, RenditionState, u64)> {
    let renditions = store.renditions_of(&tenant(), recording.id).await.unwrap();
    renditions.into_iter().map(|one| (one.kind, one.state, one.bytes)).collect()
}

fn of(kind: &str, state: RenditionState, bytes: u64) -> (String, RenditionState, u64) {
    (kind.to_owned(), state, bytes)
}

async fn state_of(store: &dyn Store, job: JobId) -> JobState {
    store.job(&tenant(), job).await.unwrap().state
}

pub async fn default_renditions_of_a_rescued_recording_are_rendered_by_any_node(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    let defaults = [mp3(&recording), wav(&recording)];
    let mut changes = store.changes();
    assert!(store.rescue(&upload, 1 << 25, MISSING, &defaults).await.unwrap());
    let reported = async { while changes.recv().await.unwrap() != Change::Recording(recording.id) {} };
    tokio::time::timeout(Duration::from_secs(10), reported).await.expect("the change is reported");
    assert!(!store.rescue(&upload, 1 << 25, MISSING, &defaults).await.unwrap());
    let queued = RenditionState::Queued;
    assert_eq!(made(store, &recording).await, [of("mp3", queued, 0), of("wav", queued, 0)]);
    let [first, second] = [render(store, 7).await, render(store, 7).await];
    assert_ne!(first, second);
    let available = RenditionState::Available;
    assert_eq!(made(store, &recording).await, [of("mp3", available, 7), of("wav", available, 7)]);
}

pub async fn render_jobs_of_a_lost_node_are_run_once_by_any_node(store: &dyn Store) {
    let (recording, upload) = uploading(store).await;
    assert_eq!(render_on(store, "b").await, None);
    assert!(store.rescue(&upload, 5, MISSING, &[mp3(&recording), wav(&recording)]).await.unwrap());
    render(store, 7).await;
    render(store, 7).await;
    assert_eq!(render_on(store, "b").await, None);
    assert_eq!(made(store, &recording).await.len(), 2);
}

pub async fn the_rescue_of_a_deleted_recording_requests_no_renditions(store: &dyn Store) {
    let (recording, upload) = uploading(store).await;
    store.delete_recording(&tenant(), recording.id, "who").await.unwrap();
    assert!(store.rescue(&upload, 5, MISSING, &[wav(&recording)]).await.unwrap());
    assert_eq!(made(store, &recording).await, [of("mp3", RenditionState::Deleted, 0)]);
    assert_eq!(render_on(store, "b").await, None);
}

pub async fn renditions_of_a_rescued_recording_are_requeued_when_its_node_finalizes_it(store: &dyn Store) {
    let (begun, upload) = streaming(store).await;
    let (stems, deleted) = (mp3(&begun), NewRendition { parameters: "{}".to_owned(), ..mp3(&begun) });
    store.rescue(&upload, 5, MISSING, &[stems, deleted, wav(&begun)]).await.unwrap();
    let [rendered_from_part, removed] = [render(store, 7).await, render(store, 7).await];
    store.delete_rendition(&tenant(), removed, "who").await.unwrap();
    let running = render_on(store, "b").await.unwrap();
    let mut changes = store.changes();

    let recording = finalized(&begun);
    let ogg = NewRendition { kind: "ogg_opus".to_owned(), parameters: "ogg".to_owned(), ..mp3(&recording) };
    let deleted = NewRendition { parameters: "{}".to_owned(), ..mp3(&recording) };
    let renditions = vec![mp3(&recording), deleted, ogg];
    let whole = FinalizedRecording { recording: recording.clone(), jobs: vec![upload_job()], renditions };
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::Written);

    let cancelled = async { while changes.recv().await.unwrap() != Change::Cancelled(running.job.id) {} };
    tokio::time::timeout(Duration::from_secs(10), cancelled).await.expect("the cancellation is reported");
    let lost = store.renew(&running, LONG).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
    let finished = store.finish(&running, JobOutcome::Rendered(file(6))).await;
    assert!(matches!(finished, Err(StoreError::LeaseLost(_))), "{finished:?}");
    assert_eq!(state_of(store, running.job.id).await, JobState::Cancelled);
    let queued = RenditionState::Queued;
    let expected = [
        of("mp3", queued, 0),
        of("mp3", RenditionState::Deleted, 7),
        of("wav", queued, 0),
        of("ogg_opus", queued, 0),
    ];
    assert_eq!(made(store, &recording).await, expected);

    // Only the node has the whole file; other nodes wait for the upload.
    assert_eq!(render_on(store, "b").await, None);
    let leased = render_on(store, "a").await.unwrap();
    store.finish(&leased, JobOutcome::Rendered(file(1000))).await.unwrap();
    assert_eq!(leased.job.rendition, Some(rendered_from_part));
    assert_eq!(made(store, &recording).await[0], of("mp3", RenditionState::Available, 1000));
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    assert_eq!(made(store, &recording).await[0], of("mp3", RenditionState::Available, 1000));
}

pub async fn renditions_of_a_rescued_recording_are_requeued_when_its_node_has_uploaded_the_whole_file(
    store: &dyn Store,
) {
    let (recording, upload) = uploading(store).await;
    store.rescue(&upload, 5, MISSING, &[]).await.unwrap();
    let rendition = render(store, 7).await;
    store.delete_upload(recording.id, &upload.id).await.unwrap();
    assert_eq!(made(store, &recording).await, [of("mp3", RenditionState::Queued, 0)]);
    assert_eq!(render(store, 1000).await, rendition);
    assert_eq!(made(store, &recording).await, [of("mp3", RenditionState::Available, 1000)]);
    store.delete_upload(recording.id, &upload.id).await.unwrap();
    assert_eq!(render_on(store, "b").await, None);
}

pub async fn renditions_of_a_complete_rescue_are_not_requeued(store: &dyn Store) {
    let (recording, upload) = uploading(store).await;
    store.rescue(&upload, recording.bytes, None, &[]).await.unwrap();
    render(store, 7).await;
    store.delete_upload(recording.id, &upload.id).await.unwrap();
    assert_eq!(made(store, &recording).await, [of("mp3", RenditionState::Available, 7)]);
}

pub async fn a_rescued_and_deleted_recording_stays_deleted_when_its_node_finalizes_it(store: &dyn Store) {
    let (begun, upload) = streaming(store).await;
    store.rescue(&upload, 5, MISSING, &[mp3(&begun)]).await.unwrap();
    store.delete_recording(&tenant(), begun.id, "who").await.unwrap();
    let recording = finalized(&begun);
    let renditions = vec![mp3(&recording)];
    let whole = FinalizedRecording { recording: recording.clone(), jobs: vec![upload_job()], renditions };
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    let found = store.recording(&tenant(), recording.id).await.unwrap();
    assert_eq!(found.state, RecordingState::Deleted);
    assert_eq!(made(store, &recording).await, [of("mp3", RenditionState::Deleted, 0)]);
    let removal = lease(store).await.unwrap();
    assert_eq!(removal.job.kind, JobKind::Delete);
}
