//! The journal of uploads.

use std::time::Duration;

use model::{Container, EndReason, Recording, RecordingId, RecordingState};
use uuid::Uuid;

use super::sample::{begun, clean_up, finalized, lease, node, upload as upload_job, write_with_jobs};
use crate::{FinalizeOutcome, FinalizedRecording, JobOutcome, Store, StoreError, Upload, UploadPart};

fn upload(recording: &Recording) -> Upload {
    let (id, started_at, container) = (recording.id, recording.started_at, Container::Webm);
    Upload {
        recording: id,
        node: recording.node.clone(),
        key: Recording::object_key("media", id, started_at, container),
        id: format!("upload-of-{id}"),
        container,
        rescued: false,
    }
}

fn part(number: u32) -> UploadPart {
    UploadPart {
        number,
        offset: u64::from(number - 1) << 24,
        bytes: 1 << 24,
        md5: [number as u8; 16],
        sha256: number.is_multiple_of(2).then_some([number as u8; 32]),
        etag: format!("\"tag-{number}\""),
        provisional: number == 1,
        run: Uuid::new_v4(),
    }
}

/// A live session and its upload.
async fn streaming(store: &dyn Store) -> (Recording, Upload) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    let upload = upload(&recording);
    store.begin_upload(&upload).await.unwrap();
    (recording, upload)
}

async fn read(store: &dyn Store, recording: &Recording) -> Recording {
    store.recording(&recording.tenant, recording.id).await.unwrap()
}

pub async fn an_upload_and_its_parts_read_back(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    let parts = [part(1), part(2), part(10)];
    for part in parts.iter().rev() {
        store.write_part(recording.id, &upload.id, part).await.unwrap();
    }
    assert_eq!(store.upload_of(recording.id).await.unwrap(), Some((upload, parts.to_vec())));
    assert_eq!(store.upload_of(RecordingId::new()).await.unwrap(), None);
}

pub async fn a_part_that_is_uploaded_again_replaces_the_first(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    store.write_part(recording.id, &upload.id, &part(1)).await.unwrap();
    let last = UploadPart { md5: [9; 16], bytes: 77, provisional: false, etag: "other".into(), ..part(1) };
    for _ in 0..2 {
        store.write_part(recording.id, &upload.id, &last).await.unwrap();
    }
    assert_eq!(store.upload_of(recording.id).await.unwrap().unwrap().1, [last]);
}

pub async fn a_recording_has_one_upload_at_a_time(store: &dyn Store) {
    let (_, upload) = streaming(store).await;
    store.begin_upload(&upload).await.unwrap();
    let other = Upload { id: "other".into(), ..upload };
    let refused = store.begin_upload(&other).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}

pub async fn an_upload_without_a_recording_is_refused(store: &dyn Store) {
    let refused = store.begin_upload(&upload(&begun())).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
}

pub async fn a_deleted_upload_accepts_no_part(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    store.write_part(recording.id, &upload.id, &part(1)).await.unwrap();
    store.delete_upload(recording.id, "another").await.unwrap();
    assert!(store.upload_of(recording.id).await.unwrap().is_some());
    for _ in 0..2 {
        store.delete_upload(recording.id, &upload.id).await.unwrap();
    }
    assert_eq!(store.upload_of(recording.id).await.unwrap(), None);
    let refused = store.write_part(recording.id, &upload.id, &part(2)).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    let next = Upload { id: "next".into(), ..upload };
    store.begin_upload(&next).await.unwrap();
    assert_eq!(store.upload_of(recording.id).await.unwrap(), Some((next, Vec::new())));
}

pub async fn uploads_are_listed_with_the_state_of_their_recordings(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    let listed = store.uploads_on(&recording.node).await.unwrap();
    let [status] = listed.as_slice() else { unreachable!("{listed:?}") };
    assert_eq!((&status.upload, &status.tenant), (&upload, &recording.tenant));
    assert_eq!((status.state, status.finalized), (RecordingState::Recording, false));
    assert_eq!(status.object_key, None);
    let whole = finalized(&recording);
    store
        .finalize(&FinalizedRecording { recording: whole.clone(), jobs: Vec::new(), renditions: Vec::new() })
        .await
        .unwrap();
    let status = store.uploads_on(&recording.node).await.unwrap().remove(0);
    assert_eq!((status.state, status.finalized), (RecordingState::Processing, true));
    assert_eq!((status.object_key, status.bytes), (whole.object_key, whole.bytes));
    assert_eq!(store.uploads_on(&node("b")).await.unwrap(), []);
}

pub async fn the_uploads_of_a_silent_node_are_lost(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    store.heartbeat(&recording.node, "10.0.0.1:50011", false).await.unwrap();
    let after = |time| store.lost_uploads(time);
    assert_eq!(after(Duration::from_secs(3600)).await.unwrap(), []);
    assert_eq!(after(Duration::MAX).await.unwrap(), []);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let lost = after(Duration::from_millis(10)).await.unwrap();
    assert_eq!(lost.iter().map(|status| &status.upload).collect::<Vec<_>>(), [&upload]);
    store.rescue(&upload, 5, Some("the rest"), &[]).await.unwrap();
    assert_eq!(after(Duration::from_millis(10)).await.unwrap(), []);
}

pub async fn a_rescue_makes_a_live_recording_available_with_an_error(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    assert!(store.rescue(&upload, 1 << 25, Some("the end is missing"), &[]).await.unwrap());
    assert!(!store.rescue(&upload, 1 << 25, Some("again"), &[]).await.unwrap());
    let rescued = read(store, &recording).await;
    assert_eq!(
        (rescued.state, rescued.error.as_deref()),
        (RecordingState::Available, Some("the end is missing"))
    );
    assert_eq!((rescued.container, rescued.object_key), (Some(upload.container), Some(upload.key)));
    assert_eq!((rescued.bytes, rescued.end_reason), (1 << 25, Some(EndReason::Crash)));
    assert!(rescued.ended_at.is_some());
    let session = store.session(&recording.tenant, recording.id.into()).await.unwrap();
    assert_eq!(session, (recording.node.clone(), Some(EndReason::Crash)));
    assert!(store.upload_of(recording.id).await.unwrap().unwrap().0.rescued);
}

pub async fn the_node_of_a_rescued_recording_can_still_finalize_it(store: &dyn Store) {
    let (recording, upload) = streaming(store).await;
    store.rescue(&upload, 1 << 25, Some("the end is missing"), &[]).await.unwrap();
    let whole = FinalizedRecording {
        recording: finalized(&recording),
        jobs: vec![upload_job()],
        renditions: Vec::new(),
    };
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::Written);
    assert_eq!(read(store, &recording).await, whole.recording);
    assert_eq!(store.upload_of(recording.id).await.unwrap(), None);
    assert_eq!(store.finalize(&whole).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    assert_eq!(store.jobs_of(recording.id).await.unwrap().len(), 1);
}

pub async fn a_rescue_is_undone_when_the_node_has_uploaded_the_finalized_file(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload_job()]).await;
    let upload = upload(&recording);
    store.begin_upload(&upload).await.unwrap();
    assert!(store.rescue(&upload, 5, Some("the end is missing"), &[]).await.unwrap());
    let rescued = read(store, &recording).await;
    assert_eq!(
        (rescued.state, rescued.error.as_deref()),
        (RecordingState::Available, Some("the end is missing"))
    );
    let again =
        FinalizedRecording { recording: recording.clone(), jobs: vec![upload_job()], renditions: Vec::new() };
    assert_eq!(store.finalize(&again).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    let leased = lease(store).await.unwrap();
    store.delete_upload(recording.id, &upload.id).await.unwrap();
    let next = vec![clean_up()];
    let done = JobOutcome::Done { recording_state: Some(RecordingState::Available), next };
    store.finish(&leased, done).await.unwrap();
    let whole = Recording { state: RecordingState::Available, ..recording.clone() };
    assert_eq!(read(store, &recording).await, whole);
}

pub async fn a_deleted_recording_is_not_rescued(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload_job()]).await;
    let upload = upload(&recording);
    store.begin_upload(&upload).await.unwrap();
    let leased = lease(store).await.unwrap();
    let deleted = JobOutcome::Done { recording_state: Some(RecordingState::Deleted), next: Vec::new() };
    store.finish(&leased, deleted).await.unwrap();
    store.rescue(&upload, 5, Some("the end is missing"), &[]).await.unwrap();
    assert_eq!(read(store, &recording).await.state, RecordingState::Deleted);
}

pub async fn the_owner_of_a_recording_is_found_without_its_tenant(store: &dyn Store) {
    let (recording, _) = streaming(store).await;
    assert_eq!(store.owner(recording.id).await.unwrap(), Some(recording.node));
    assert_eq!(store.owner(RecordingId::new()).await.unwrap(), None);
}
