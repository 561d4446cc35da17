//! Upload of open files, on SQLite and a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, sync::Arc, time::Duration};

use blob::PartUploads as _;
use model::{Container, EndReason, JobKind, JobState, RecordingState};
use store::{JobOutcome, Store as _};
use support::{
    cluster::{Cluster, PART, assert_safe},
    wait_for,
};
use testkit::servers::faulty::{Fault, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn final_bytes_are_uploaded_while_the_file_is_open() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    for parts in 1..=4 {
        recording.grow(PART);
        node.until_sent(&recording, parts).await;
    }
    assert_eq!(proxy.seen("partNumber=1&"), 1, "the first part is sent early, once");
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
    let sent = |number: &str| proxy.seen(&format!("partNumber={number}&"));
    assert_eq!([sent("1"), sent("2"), sent("3"), sent("4"), sent("5")], [2, 1, 1, 1, 1]);
    assert_eq!((proxy.seen("POST "), node.attempts(&recording, JobKind::Upload).await), (2, 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_shorter_than_a_part_is_uploaded_at_its_end() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(PART - 10_000);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((proxy.seen("POST "), proxy.seen("PUT ")), (0, 0));
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_changes_while_the_file_is_open_is_sent_again() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(2 * PART);
    node.until_sent(&recording, 2).await;
    recording.join_track();
    wait_for("the first part again", async || proxy.seen("partNumber=1&") == 2).await;
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
    assert_eq!(proxy.seen("partNumber=1&"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_sent_while_the_file_was_open_count_as_progress_of_the_upload_job() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(4 * PART);
    node.until_sent(&recording, 4).await;
    proxy.breaks("partNumber=5&", 1, Fault::Hang);
    recording.finalize(&node, EndReason::Requested).await;
    wait_for("all but the last part is confirmed", async || {
        let jobs = node.store.jobs_of(recording.begun.id).await.unwrap();
        let progress = jobs.into_iter().find(|job| job.kind == JobKind::Upload).and_then(|job| job.progress);
        progress.is_some_and(|progress| progress.fraction > 0.5 && progress.fraction < 1.0)
    })
    .await;
    assert_safe(&cluster, &node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_object_store_only_delays_the_upload() {
    let mut cluster = Cluster::new().await;
    cluster.attempt_timeout = Duration::from_secs(5);
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    proxy.breaks("?uploads", 2, Fault::Answer(500));
    proxy.breaks("partNumber=1&", 1, Fault::CutBody(1_000_000));
    proxy.breaks("partNumber=2&", 1, Fault::FlipByte(1_000_000));
    proxy.breaks("partNumber=3&", 1, Fault::Hang);
    proxy.breaks("partNumber=4&", 1, Fault::CutAnswer(0));
    recording.grow(4 * PART);
    node.until_sent(&recording, 4).await;
    proxy.breaks("?uploadId=", 1, Fault::CutAnswer(0));
    proxy.breaks("HEAD ", 1, Fault::Answer(503));
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_was_away_gets_everything_when_it_is_back() {
    let mut cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(2 * PART);
    node.until_sent(&recording, 2).await;
    cluster.server.stop();
    recording.grow(2 * PART);
    recording.finalize(&node, EndReason::Requested).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.row(&recording).await.state, RecordingState::Processing);
    cluster.server.start_again().await.unwrap();
    assert_safe(&cluster, &node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_unchanged_parts_are_not_sent_again() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(4 * PART);
    node.until_sent(&recording, 4).await;
    node.crash().await;
    // Recovery never changes final bytes. Here part 3 is changed, so that it alone is sent again.
    recording.patch(2 * PART + 1000, b"changed");
    recording.truncate(4 * PART - 1000);
    recording.finalize(&node, EndReason::Crash).await;
    node.start();
    assert_safe(&cluster, &node, &recording).await;
    let sent = |number: &str| proxy.seen(&format!("partNumber={number}&"));
    assert_eq!([sent("1"), sent("2"), sent("3"), sent("4")], [2, 1, 2, 2]);
    assert_eq!(proxy.seen("?uploads"), 1 + 2, "one upload is begun, and each start lists the open ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_with_another_part_size_continues_with_the_size_that_it_began_with() {
    const OTHER: usize = PART + (3 << 20);
    for (before, after, parts) in [(PART, OTHER, 5), (OTHER, PART, 4)] {
        let mut cluster = Cluster::with_parts_of(before as u64).await;
        let proxy = Proxy::to(cluster.server.address()).await.unwrap();
        let mut node = cluster.node_through("a", proxy.url.clone()).await;
        node.start();
        let mut recording = node.begin().await;
        recording.grow(4 * PART + 2_000_000);
        let early = 4 * PART / before;
        node.until_sent(&recording, early).await;
        node.crash().await;
        recording.finalize(&node, EndReason::Crash).await;
        cluster.part_bytes = after as u64;
        node.blobs = Arc::new(cluster.s3(proxy.url.clone()).await);
        node.start();
        assert_safe(&cluster, &node, &recording).await;
        let sent = |number: usize| proxy.seen(&format!("partNumber={number}&"));
        let sent: Vec<_> = (1..=6).map(sent).filter(|&times| times > 0).collect();
        assert_eq!((sent[0], sent.len()), (2, parts), "{sent:?}");
        assert!(sent[1..].iter().all(|&times| times == 1), "{sent:?}");
        assert_eq!(proxy.seen("POST "), 2, "one upload is begun and completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_whose_answer_was_lost_is_not_repeated() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(2 * PART);
    node.until_sent(&recording, 2).await;
    // With the first byte of its answer the server has completed the upload.
    proxy.breaks("?uploadId=", 1, Fault::CutAnswer(1));
    proxy.breaks("HEAD ", 1, Fault::Answer(500));
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
    assert_eq!(proxy.seen("?uploadId="), 1);
    assert_eq!(proxy.seen("partNumber=2&"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_format_that_changes_starts_the_upload_again_under_the_other_key() {
    let cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    node.start();
    for live in [true, false] {
        let mut recording = node.begin().await;
        recording.grow(3 * PART);
        node.until_sent(&recording, 3).await;
        recording.change_container(Container::Matroska);
        if live {
            let key = recording.key();
            let upload = async || node.store.upload_of(recording.begun.id).await.unwrap();
            wait_for("the other key", async || upload().await.is_some_and(|(upload, _)| upload.key == key))
                .await;
        }
        recording.finalize(&node, EndReason::Requested).await;
        assert_safe(&cluster, &node, &recording).await;
        recording.container = Container::Webm;
        let stored = blob::BlobStore::head(&*node.blobs, &recording.key()).await;
        assert!(matches!(stored, Err(blob::BlobError::NotFound(_))), "{stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_aborted_elsewhere_is_started_again() {
    let cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    node.start();
    for live in [true, false] {
        let mut recording = node.begin().await;
        recording.grow(2 * PART);
        node.until_sent(&recording, 2).await;
        for upload in node.blobs.open("").await.unwrap() {
            node.blobs.abort(&upload).await.unwrap();
        }
        if live {
            recording.grow(2 * PART);
            node.until_sent(&recording, 4).await;
        }
        recording.finalize(&node, EndReason::Requested).await;
        assert_safe(&cluster, &node, &recording).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_uploads_are_aborted() {
    let cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    node.start();
    let (mut deleted, mut lost) = (node.begin().await, node.begin().await);
    for recording in [&mut deleted, &mut lost] {
        recording.grow(2 * PART);
        node.until_sent(recording, 2).await;
    }
    node.crash().await;
    // As if the process had crashed before it journaled the upload.
    let (upload, _) = node.store.upload_of(lost.begun.id).await.unwrap().unwrap();
    node.store.delete_upload(lost.begun.id, &upload.id).await.unwrap();
    deleted.finalize(&node, EndReason::Requested).await;
    let leased = node.store.lease(&node.config.node, JobKind::ALL, Duration::from_secs(60)).await;
    let done = JobOutcome::Done { recording_state: Some(RecordingState::Deleted), next: Vec::new() };
    node.store.finish(&leased.unwrap().unwrap(), done).await.unwrap();
    // An upload that is not of a recording stays.
    let other = node.blobs.begin("other/file", "video/webm").await.unwrap();
    node.start();
    wait_for("the abort", async || node.blobs.open("").await.unwrap() == [other.clone()]).await;
    let forgotten = async || node.store.uploads_on(&node.config.node).await.unwrap().is_empty();
    wait_for("the journal is empty", forgotten).await;
    node.blobs.abort(&other).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_changed_since_its_parts_were_sent_is_not_removed() {
    let cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    node.config.workers.upload_max_retry = 1;
    node.start();
    let mut recording = node.begin().await;
    recording.grow(3 * PART);
    node.until_sent(&recording, 3).await;
    let at_stop = recording.content[PART..].to_vec();
    recording.patch(PART + 7, b"changed on the disk after it was final");
    recording.finalize(&node, EndReason::Requested).await;
    let parked = async || {
        let jobs = node.store.jobs_of(recording.begun.id).await.unwrap();
        jobs.iter().any(|job| job.kind == JobKind::CleanUp && job.state == JobState::Parked)
    };
    wait_for("the clean-up is parked", parked).await;
    assert!(node.row(&recording).await.error.unwrap().contains("changed since it was sent"));
    assert!(fs::read(recording.file()).unwrap() == recording.content);
    assert!(cluster.object(&recording.key()).await[PART..3 * PART] == at_stop[..2 * PART]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_recordings_share_the_upload_workers() {
    let cluster = Cluster::new().await;
    let mut node = cluster.node("a").await;
    node.config.workers.upload_workers = 2;
    node.start();
    let mut recordings = Vec::new();
    for _ in 0..6 {
        let mut recording = node.begin().await;
        recording.grow(2 * PART);
        recordings.push(recording);
    }
    for recording in &recordings {
        node.until_sent(recording, 2).await;
    }
    for recording in &mut recordings {
        recording.finalize(&node, EndReason::Requested).await;
    }
    for recording in &recordings {
        assert_safe(&cluster, &node, recording).await;
    }
}
