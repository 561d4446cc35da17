//! The last copy of media is never removed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;

use model::{JobKind::*, JobState, Recording, RecordingState};
use store::Store as _;
use support::{local_node::LocalNode, wait_for};
use tokio_util::sync::CancellationToken;

/// A node with a recording that was uploaded and not cleaned up: the database is away.
async fn uploaded() -> (LocalNode, Recording) {
    let node = LocalNode::new().await;
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.set_away(true);
    node.blobs.release();
    let stored = async || node.blobs.running() == 0 && node.object(&recording).exists();
    wait_for("the object", stored).await;
    (node, recording)
}

/// Lets the clean-up run until it is parked for this reason. The file is still there.
async fn assert_refused(node: &LocalNode, recording: &Recording, reason: &str) {
    node.store.set_away(false);
    node.until(recording, CleanUp, JobState::Parked).await;
    let row = node.row(recording).await;
    let error = row.error.unwrap();
    assert!(error.contains(reason), "{error}");
    assert_eq!(row.state, RecordingState::Parked);
    assert!(node.file(recording).exists(), "the last copy was removed");
}

/// The object is a hard link to the file in the spool: it has to be replaced, not written to.
fn replace_object(node: &LocalNode, recording: &Recording, content: &[u8]) {
    fs::remove_file(node.object(recording)).unwrap();
    fs::write(node.object(recording), content).unwrap();
}

#[tokio::test]
async fn the_file_stays_if_the_object_is_missing() {
    let (node, recording) = uploaded().await;
    fs::remove_file(node.object(&recording)).unwrap();
    assert_refused(&node, &recording, "no object").await;
}

#[tokio::test]
async fn the_file_stays_if_the_object_is_shorter() {
    let (node, recording) = uploaded().await;
    replace_object(&node, &recording, b"med");
    assert_refused(&node, &recording, "3 bytes").await;
}

#[tokio::test]
async fn the_file_stays_if_the_object_has_other_content_of_the_same_size() {
    let (node, recording) = uploaded().await;
    replace_object(&node, &recording, b"medib");
    assert_refused(&node, &recording, "is not the finished file").await;
}

#[tokio::test]
async fn the_file_stays_if_it_has_become_longer_since_the_upload() {
    let (node, recording) = uploaded().await;
    replace_object(&node, &recording, b"media");
    fs::write(node.file(&recording), b"media and more").unwrap();
    assert_refused(&node, &recording, "14 bytes").await;
}

#[tokio::test]
async fn the_directory_stays_if_it_holds_other_media() {
    for name in ["other.webm", "segment.mkv", "media.part", "audio.ogg"] {
        let (node, recording) = uploaded().await;
        let other = node.spooled(&recording).join(name);
        fs::write(&other, b"never uploaded").unwrap();
        assert_refused(&node, &recording, "never stored").await;
        assert!(other.exists());
    }
}

#[tokio::test]
async fn a_parked_clean_up_that_is_retried_makes_the_recording_available_again() {
    let (node, recording) = uploaded().await;
    fs::remove_file(node.object(&recording)).unwrap();
    assert_refused(&node, &recording, "no object").await;
    let put = blob::PutFile {
        key: recording.object_key.as_ref().unwrap(),
        path: &node.file(&recording),
        content_type: "video/webm",
        sha256: None,
        confirmed: None,
    };
    blob::BlobStore::put_file(&*node.blobs, put, &CancellationToken::new()).await.unwrap();
    let job = node.job(&recording, CleanUp).await.unwrap();
    node.store.retry(&recording.tenant, job.id).await.unwrap();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.state(&recording).await, RecordingState::Available);
    assert!(!node.file(&recording).exists());
}
