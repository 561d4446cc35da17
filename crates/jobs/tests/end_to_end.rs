//! Workers on the real stores: SQLite with a local directory, and with S3.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use model::{EndReason, JobKind, JobState, RecordingState};
use store::Store as _;
use support::{cluster::Cluster, local_node::LocalNode, sha256, wait_for};

/// One of two is larger than a part.
fn content(recording: u8) -> Vec<u8> {
    let length = if recording.is_multiple_of(2) { 6 << 20 } else { 1000 };
    (0..length).map(|byte: u32| (byte / 7) as u8 ^ recording).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_become_available_with_sqlite_and_a_directory() {
    let mut node = LocalNode::new().await;
    node.start();
    node.start();
    for n in 0..6 {
        let recording = node.finalize(&content(n)).await;
        for kind in [JobKind::Upload, JobKind::CleanUp] {
            node.until(&recording, kind, JobState::Done).await;
            assert_eq!(node.attempts(&recording, kind).await, 1, "{kind}");
        }
        let row = node.row(&recording).await;
        assert_eq!((row.state, row.error), (RecordingState::Available, None));
        let stored = blob::BlobStore::head(&*node.blobs, &row.object_key.unwrap()).await.unwrap();
        assert_eq!((stored.bytes, stored.sha256), (recording.bytes, Some(sha256(&content(n)))));
        assert!(!node.spooled(&recording).exists());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_become_available_with_sqlite_and_s3_that_is_away_at_first() {
    let mut cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    cluster.server.stop();
    node.start_without_open_files();
    let mut recordings = Vec::new();
    for n in 0..4 {
        let mut recording = node.begin().await;
        recording.grow(content(n).len());
        recording.finalize(&node, EndReason::Requested).await;
        recordings.push(recording);
    }
    let last = &recordings[3];
    let retried = async || node.attempts(last, JobKind::Upload).await >= 3;
    wait_for("three attempts", retried).await;
    assert!(recordings.iter().all(|recording| recording.file().exists()));
    cluster.server.start_again().await.unwrap();
    for recording in &recordings {
        node.until_available(recording).await;
        node.until_cleaned_up(recording).await;
        let row = node.row(recording).await;
        assert_eq!((row.error, row.sha256), (None, Some(recording.sha256())));
        assert!(cluster.object(&recording.key()).await == recording.content);
    }
    node.stop().await;
    assert_eq!(node.store.count_jobs().await.unwrap(), Vec::<(JobKind, JobState, u64)>::new());
}

#[tokio::test]
async fn workers_stop_while_nothing_is_to_be_done() {
    let mut node = LocalNode::new().await;
    node.config.workers.poll = Duration::from_secs(3600).into();
    node.start();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = tokio::time::timeout(Duration::from_secs(30), node.stop()).await;
    assert!(stopped.is_ok());
}
