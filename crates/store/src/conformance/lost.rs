//! Recordings of lost nodes of which nothing was uploaded: parked, and resumed when their nodes return.

use std::time::Duration;

use model::{Container, EndReason, Recording, RecordingState};

use super::sample::{begun, clean_up, finalized, lease, node, tenant, upload, write_with_jobs};
use crate::{Change, FinalizeOutcome, FinalizedRecording, JobOutcome, LostRecording, Store, Upload};

const SILENT: Duration = Duration::from_millis(10);
const REASON: &str = "its node was lost";

/// Node `a` has a heartbeat that is older than `SILENT`.
async fn silence(store: &dyn Store) {
    store.heartbeat(&node("a"), "10.0.0.1:50011", false).await.unwrap();
    tokio::time::sleep(SILENT * 3).await;
}

async fn live(store: &dyn Store) -> Recording {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    recording
}

async fn lost(store: &dyn Store) -> Vec<LostRecording> {
    store.lost_recordings(SILENT).await.unwrap()
}

/// A live session that was parked because its node is lost.
async fn parked_live(store: &dyn Store) -> Recording {
    let recording = live(store).await;
    silence(store).await;
    assert!(store.park_lost(recording.id, SILENT, REASON).await.unwrap());
    recording
}

async fn read(store: &dyn Store, recording: &Recording) -> Recording {
    store.recording(&recording.tenant, recording.id).await.unwrap()
}

fn whole(begun: &Recording) -> FinalizedRecording {
    FinalizedRecording { recording: finalized(begun), jobs: vec![upload()], renditions: Vec::new() }
}

/// Runs the next job, which must be the upload.
async fn upload_is_done(store: &dyn Store) {
    let leased = lease(store).await.unwrap();
    let done = JobOutcome::Done { recording_state: Some(RecordingState::Available), next: vec![clean_up()] };
    store.finish(&leased, done).await.unwrap();
}

pub async fn unfinished_recordings_of_a_silent_node_without_an_upload_are_lost(store: &dyn Store) {
    let (recording, paused, streaming) = (live(store).await, live(store).await, live(store).await);
    store.set_paused(&tenant(), paused.id.into(), true).await.unwrap();
    let begun = Upload {
        recording: streaming.id,
        node: streaming.node.clone(),
        key: "media/streaming.webm".to_owned(),
        id: "upload".to_owned(),
        container: Container::Webm,
        rescued: false,
    };
    store.begin_upload(&begun).await.unwrap();
    let available = write_with_jobs(store, vec![upload()]).await;
    upload_is_done(store).await;
    let processing = write_with_jobs(store, vec![upload()]).await;
    silence(store).await;
    let of =
        |recording: &Recording, finalized| LostRecording { id: recording.id, node: node("a"), finalized };
    let mut expected = vec![of(&recording, false), of(&paused, false), of(&processing, true)];
    expected.sort_by_key(|one| one.id.to_string());
    assert_eq!(lost(store).await, expected);
    assert_eq!(store.lost_recordings(Duration::from_secs(3600)).await.unwrap(), []);
    assert_eq!(store.lost_recordings(Duration::MAX).await.unwrap(), []);
    for finished in [&streaming, &available] {
        assert!(!store.park_lost(finished.id, SILENT, REASON).await.unwrap());
    }
}

pub async fn park_lost_parks_a_live_recording_and_closes_its_session(store: &dyn Store) {
    let mut changes = store.changes();
    let recording = parked_live(store).await;
    let reported = async { while changes.recv().await.unwrap() != Change::Recording(recording.id) {} };
    tokio::time::timeout(Duration::from_secs(10), reported).await.expect("the change is reported");
    let parked = read(store, &recording).await;
    assert_eq!((parked.state, parked.error.as_deref()), (RecordingState::Parked, Some(REASON)));
    assert_eq!((parked.container, parked.end_reason), (None, Some(EndReason::Crash)));
    assert!(parked.ended_at.is_some());
    let session = store.session(&tenant(), recording.id.into()).await.unwrap();
    assert_eq!(session, (node("a"), Some(EndReason::Crash)));
    assert_eq!(lost(store).await, []);
    assert!(!store.park_lost(recording.id, SILENT, "again").await.unwrap());
}

pub async fn a_recording_whose_node_has_a_new_heartbeat_is_not_parked(store: &dyn Store) {
    let recording = live(store).await;
    silence(store).await;
    assert_eq!(lost(store).await.len(), 1);
    store.heartbeat(&node("a"), "10.0.0.1:50011", false).await.unwrap();
    let hour = Duration::from_secs(3600);
    assert!(!store.park_lost(recording.id, hour, REASON).await.unwrap());
    assert_eq!(read(store, &recording).await, recording);
    assert_eq!(store.session(&tenant(), recording.id.into()).await.unwrap(), (node("a"), None));
}

pub async fn the_node_of_a_parked_lost_recording_can_still_finalize_it(store: &dyn Store) {
    let recording = parked_live(store).await;
    let whole = whole(&recording);
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::Written);
    assert_eq!(read(store, &recording).await, whole.recording);
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    assert_eq!(store.jobs_of(recording.id).await.unwrap().len(), 1);
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), []);
    upload_is_done(store).await;
    let available = Recording { state: RecordingState::Available, ..whole.recording };
    assert_eq!(read(store, &recording).await, available);
}

pub async fn a_parked_finalized_recording_resumes_when_its_node_returns(store: &dyn Store) {
    for unparked in [true, false] {
        let recording = write_with_jobs(store, vec![upload()]).await;
        silence(store).await;
        assert!(store.park_lost(recording.id, SILENT, REASON).await.unwrap());
        let parked = read(store, &recording).await;
        assert_eq!((parked.state, parked.error.as_deref()), (RecordingState::Parked, Some(REASON)));
        assert_eq!((parked.end_reason, parked.ended_at), (recording.end_reason, recording.ended_at));
        assert_eq!(store.unpark(&node("b"), &[recording.id]).await.unwrap(), []);
        if unparked {
            assert_eq!(store.unpark(&node("a"), &[]).await.unwrap(), [recording.id]);
            assert_eq!(read(store, &recording).await, recording);
        }
        upload_is_done(store).await;
        let available = Recording { state: RecordingState::Available, ..recording.clone() };
        assert_eq!(read(store, &recording).await, available);
        let clean_up = lease(store).await.unwrap();
        store.finish(&clean_up, JobOutcome::Done { recording_state: None, next: Vec::new() }).await.unwrap();
    }
}

pub async fn a_parked_live_session_resumes_when_its_node_returns(store: &dyn Store) {
    let recording = parked_live(store).await;
    assert_eq!(store.unpark(&node("a"), &[]).await.unwrap(), []);
    assert_eq!(store.unpark(&node("b"), &[recording.id]).await.unwrap(), []);
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), [recording.id]);
    assert_eq!(read(store, &recording).await, recording);
    assert_eq!(store.session(&tenant(), recording.id.into()).await.unwrap(), (node("a"), None));
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), []);
    assert_eq!(store.finalize(&whole(&recording)).await.unwrap(), FinalizeOutcome::Written);
}

pub async fn a_recording_that_a_job_parked_stays_parked_when_its_node_returns(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    silence(store).await;
    assert!(store.park_lost(recording.id, SILENT, REASON).await.unwrap());
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Parked { error: "no file".to_owned() }).await.unwrap();
    assert_eq!(store.unpark(&node("a"), &[]).await.unwrap(), []);
    let parked = read(store, &recording).await;
    assert_eq!((parked.state, parked.error.as_deref()), (RecordingState::Parked, Some("no file")));
}

pub async fn a_parked_and_deleted_recording_stays_deleted(store: &dyn Store) {
    let recording = parked_live(store).await;
    store.delete_recording(&tenant(), recording.id, "who").await.unwrap();
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), []);
    assert_eq!(store.finalize(&whole(&recording)).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    assert_eq!(read(store, &recording).await.state, RecordingState::Deleted);
}
