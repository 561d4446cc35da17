//! Recordings of lost nodes, of which nothing was uploaded: given up, and taken up when the nodes come back.

use std::time::Duration;

use model::{Container, EndReason, Recording, RecordingState};

use super::sample::{begun, clean_up, lease, node, sealed, tenant, upload, write_with_jobs};
use crate::{Change, FinalizeOutcome, FinalizedRecording, JobOutcome, LostRecording, Store, Upload};

const SILENT: Duration = Duration::from_millis(10);
const REASON: &str = "its node was lost";

/// Node `a` was heard of, and is not any more.
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

/// A live session that was given up with its node.
async fn given_up(store: &dyn Store) -> Recording {
    let recording = live(store).await;
    silence(store).await;
    assert!(store.park_lost(recording.id, SILENT, REASON).await.unwrap());
    recording
}

async fn read(store: &dyn Store, recording: &Recording) -> Recording {
    store.recording(&recording.tenant, recording.id).await.unwrap()
}

fn whole(begun: &Recording) -> FinalizedRecording {
    FinalizedRecording { recording: sealed(begun), jobs: vec![upload()], renditions: Vec::new() }
}

/// The next job, which is the upload, is done.
async fn upload_is_done(store: &dyn Store) {
    let leased = lease(store).await.unwrap();
    let done = JobOutcome::Done { recording_state: Some(RecordingState::Available), next: vec![clean_up()] };
    store.finish(&leased, done).await.unwrap();
}

pub async fn what_a_silent_node_has_not_finished_and_not_begun_to_upload_is_lost(store: &dyn Store) {
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

pub async fn a_live_recording_that_is_given_up_is_parked_and_its_session_closed(store: &dyn Store) {
    let mut changes = store.changes();
    let recording = given_up(store).await;
    let told = async { while changes.recv().await.unwrap() != Change::Recording(recording.id) {} };
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("it is told");
    let parked = read(store, &recording).await;
    assert_eq!((parked.state, parked.error.as_deref()), (RecordingState::Parked, Some(REASON)));
    assert_eq!((parked.container, parked.end_reason), (None, Some(EndReason::Crash)));
    assert!(parked.ended_at.is_some());
    let session = store.session(&tenant(), recording.id.into()).await.unwrap();
    assert_eq!(session, (node("a"), Some(EndReason::Crash)));
    assert_eq!(lost(store).await, []);
    assert!(!store.park_lost(recording.id, SILENT, "again").await.unwrap());
}

pub async fn a_recording_whose_node_speaks_again_is_not_given_up(store: &dyn Store) {
    let recording = live(store).await;
    silence(store).await;
    assert_eq!(lost(store).await.len(), 1);
    store.heartbeat(&node("a"), "10.0.0.1:50011", false).await.unwrap();
    let hour = Duration::from_secs(3600);
    assert!(!store.park_lost(recording.id, hour, REASON).await.unwrap());
    assert_eq!(read(store, &recording).await, recording);
    assert_eq!(store.live_sessions_on(&node("a")).await.unwrap(), [recording.id.into()]);
}

pub async fn a_recording_that_was_given_up_is_sealed_by_its_node_and_goes_on(store: &dyn Store) {
    let recording = given_up(store).await;
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

pub async fn a_sealed_recording_that_was_given_up_goes_on_when_its_node_is_back(store: &dyn Store) {
    for taken_up in [true, false] {
        let recording = write_with_jobs(store, vec![upload()]).await;
        silence(store).await;
        assert!(store.park_lost(recording.id, SILENT, REASON).await.unwrap());
        let parked = read(store, &recording).await;
        assert_eq!((parked.state, parked.error.as_deref()), (RecordingState::Parked, Some(REASON)));
        assert_eq!((parked.end_reason, parked.ended_at), (recording.end_reason, recording.ended_at));
        assert_eq!(store.unpark(&node("b"), &[recording.id]).await.unwrap(), []);
        if taken_up {
            assert_eq!(store.unpark(&node("a"), &[]).await.unwrap(), [recording.id]);
            assert_eq!(read(store, &recording).await, recording);
        }
        upload_is_done(store).await;
        let available = Recording { state: RecordingState::Available, ..recording.clone() };
        assert_eq!(read(store, &recording).await, available);
        let tidy = lease(store).await.unwrap();
        store.finish(&tidy, JobOutcome::Done { recording_state: None, next: Vec::new() }).await.unwrap();
    }
}

pub async fn a_live_session_that_was_given_up_goes_on_when_its_node_is_heard_again(store: &dyn Store) {
    let recording = given_up(store).await;
    assert_eq!(store.unpark(&node("a"), &[]).await.unwrap(), []);
    assert_eq!(store.unpark(&node("b"), &[recording.id]).await.unwrap(), []);
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), [recording.id]);
    assert_eq!(read(store, &recording).await, recording);
    assert_eq!(store.session(&tenant(), recording.id.into()).await.unwrap(), (node("a"), None));
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), []);
    assert_eq!(store.finalize(&whole(&recording)).await.unwrap(), FinalizeOutcome::Written);
}

pub async fn what_a_job_has_parked_stays_so_when_its_node_is_back(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    silence(store).await;
    assert!(store.park_lost(recording.id, SILENT, REASON).await.unwrap());
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Parked { error: "no file".to_owned() }).await.unwrap();
    assert_eq!(store.unpark(&node("a"), &[]).await.unwrap(), []);
    let parked = read(store, &recording).await;
    assert_eq!((parked.state, parked.error.as_deref()), (RecordingState::Parked, Some("no file")));
}

pub async fn a_recording_that_was_deleted_after_it_was_given_up_stays_so(store: &dyn Store) {
    let recording = given_up(store).await;
    store.delete_recording(&tenant(), recording.id, "who").await.unwrap();
    assert_eq!(store.unpark(&node("a"), &[recording.id]).await.unwrap(), []);
    assert_eq!(store.finalize(&whole(&recording)).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    assert_eq!(read(store, &recording).await.state, RecordingState::Deleted);
}
