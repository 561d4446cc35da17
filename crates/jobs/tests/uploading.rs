//! Uploads of finished files: the usual way, and each fault on it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, time::Duration};

use model::{JobKind::*, JobState, RecordingState};
use store::Store as _;
use support::{blobs::Put, local_node::LocalNode, wait_for};

#[tokio::test]
async fn a_finished_file_is_uploaded_verified_and_removed_from_the_spool() {
    let node = LocalNode::new().await;
    let recording = node.finalize(b"media").await;
    node.start();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.state(&recording).await, RecordingState::Available);
    assert_eq!(fs::read(node.object(&recording)).unwrap(), b"media");
    assert!(!node.spooled(&recording).exists());
    assert_eq!(node.attempts(&recording, Upload).await, 1);
}

#[tokio::test]
async fn an_uploads_progress_is_what_the_store_has_confirmed() {
    let node = LocalNode::new().await;
    node.blobs.script([Put::InHalves(Duration::from_secs(4))]);
    let recording = node.finalize(&[7; 1000]).await;
    node.start();
    let mut seen = Vec::new();
    wait_for("all is confirmed", async || {
        if let Some(progress) = node.job(&recording, Upload).await.unwrap().progress
            && seen.last() != Some(&progress)
        {
            seen.push(progress);
        }
        seen.last().is_some_and(|progress| progress.fraction >= 1.0)
    })
    .await;
    let fractions: Vec<f64> = seen.iter().map(|progress| progress.fraction).collect();
    assert!([[0.0, 0.5, 1.0].as_slice(), &[0.5, 1.0]].contains(&fractions.as_slice()), "{seen:?}");
    let last = seen.last().unwrap();
    assert!(last.speed > 0.0 && last.remaining == Some(Duration::ZERO), "{last:?}");
    node.until(&recording, CleanUp, JobState::Done).await;
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_gets_the_file_later() {
    let node = LocalNode::new().await;
    node.blobs.script([Put::Unavailable, Put::Refused, Put::Unavailable]);
    let recording = node.finalize(b"media").await;
    node.start();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.state(&recording).await, RecordingState::Available);
    assert_eq!(node.attempts(&recording, Upload).await, 4);
}

#[tokio::test]
async fn after_the_last_attempt_the_job_is_parked_and_the_media_stays() {
    let node = LocalNode::new().await;
    node.blobs.script([Put::Refused; 4]);
    let recording = node.finalize(b"media").await;
    node.start();
    node.until(&recording, Upload, JobState::Parked).await;
    let row = node.row(&recording).await;
    assert_eq!(row.state, RecordingState::Parked);
    assert!(row.error.unwrap().contains("403"));
    assert_eq!(fs::read(node.file(&recording)).unwrap(), b"media");
    assert_eq!(node.job(&recording, CleanUp).await, None);
    assert_eq!(node.blobs.puts(recording.object_key.as_ref().unwrap()), 4);
}

#[tokio::test]
async fn a_parked_upload_that_is_retried_makes_the_recording_available() {
    let node = LocalNode::new().await;
    node.blobs.script([Put::Refused; 4]);
    let recording = node.finalize(b"media").await;
    node.start();
    node.until(&recording, Upload, JobState::Parked).await;
    let job = node.job(&recording, Upload).await.unwrap();
    node.store.retry(&recording.tenant, job.id).await.unwrap();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.state(&recording).await, RecordingState::Available);
}

#[tokio::test]
async fn a_missing_file_parks_the_upload_at_once() {
    let node = LocalNode::new().await;
    let recording = node.finalize(b"media").await;
    fs::remove_file(node.file(&recording)).unwrap();
    node.start();
    node.until(&recording, Upload, JobState::Parked).await;
    assert_eq!(node.attempts(&recording, Upload).await, 1);
    assert!(node.row(&recording).await.error.unwrap().contains("missing"));
}

#[tokio::test]
async fn a_missing_file_whose_object_is_whole_is_available() {
    let node = LocalNode::new().await;
    let recording = node.finalize(b"media").await;
    let object = node.object(&recording);
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::rename(node.file(&recording), object).unwrap();
    node.start();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.state(&recording).await, RecordingState::Available);
}

#[tokio::test]
async fn a_file_that_has_changed_since_it_was_finished_is_not_stored_and_stays() {
    for damage in [&b"medib"[..], b"medi"] {
        let node = LocalNode::new().await;
        let recording = node.finalize(b"media").await;
        fs::write(node.file(&recording), damage).unwrap();
        node.start();
        node.until(&recording, Upload, JobState::Parked).await;
        assert!(!node.object(&recording).exists());
        assert_eq!(fs::read(node.file(&recording)).unwrap(), damage);
    }
}

#[tokio::test]
async fn an_unknown_checksum_is_committed_once_the_file_is_stored() {
    let node = LocalNode::new().await;
    node.blobs.script([Put::Unavailable]);
    let recording = node.finalize_with(b"media", &[], |recording| recording.sha256 = None).await;
    node.start();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.row(&recording).await.sha256, Some(support::sha256(b"media")));
    assert_eq!(fs::read(node.object(&recording)).unwrap(), b"media");
}

#[tokio::test]
async fn a_recording_without_an_object_key_is_parked() {
    let node = LocalNode::new().await;
    let recording = node.finalize_with(b"media", &[], |recording| recording.object_key = None).await;
    node.start();
    node.until(&recording, Upload, JobState::Parked).await;
    assert!(node.row(&recording).await.error.unwrap().contains("object key"));
    assert!(node.file(&recording).exists());
}

#[tokio::test]
async fn a_recording_that_is_deleted_while_it_is_uploaded_leaves_no_object() {
    let node = LocalNode::new().await;
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.delete_recording(&recording.tenant, recording.id, "").await.unwrap();
    node.blobs.release();
    node.until(&recording, Upload, JobState::Done).await;
    assert_eq!(node.state(&recording).await, RecordingState::Deleted);
    assert!(!node.object(&recording).exists());
}

#[test]
fn an_object_that_a_killed_upload_had_stored_goes_if_its_recording_was_deleted_meanwhile() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let killed = runtime();
    let (mut node, recording) = killed.block_on(async {
        let mut node = LocalNode::new().await;
        node.config.workers.lease = Duration::from_secs(3).into();
        node.blobs.hold();
        let recording = node.finalize(b"media").await;
        node.start();
        node.until_uploading().await;
        (node, recording)
    });
    killed.shutdown_background();
    runtime().block_on(async {
        node.reopen_store().await;
        let object = node.object(&recording);
        fs::create_dir_all(object.parent().unwrap()).unwrap();
        fs::write(&object, b"media").unwrap();
        node.store.delete_recording(&recording.tenant, recording.id, "").await.unwrap();
        node.start();
        node.until(&recording, Upload, JobState::Done).await;
        assert!(!object.exists());
        node.stop().await;
    });
}

#[tokio::test]
async fn a_panic_costs_an_attempt_of_one_job_and_no_worker() {
    let mut node = LocalNode::new().await;
    node.config.workers.upload_workers = 1;
    node.blobs.script([Put::Panic, Put::Panic]);
    let (first, second) = (node.finalize(b"first").await, node.finalize(b"second").await);
    node.start();
    node.until(&first, CleanUp, JobState::Done).await;
    node.until(&second, CleanUp, JobState::Done).await;
    let attempts = node.attempts(&first, Upload).await + node.attempts(&second, Upload).await;
    assert_eq!(attempts, 4);
}
