//! Lost nodes: their uploads are completed, their other recordings are parked; and what happens when they return. On SQLite
//! and a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, time::Duration};

use model::{EndReason, JobKind, JobState, RecordingState, Rendition, RenditionState};
use store::Store as _;
use support::{
    cluster::{Cluster, PART, TestNode, TestRecording, assert_safe},
    wait_for,
};

/// Waits until the recording is parked with its node, and says so.
async fn assert_parked(node: &TestNode, recording: &TestRecording) {
    wait_for("parked", async || node.row(recording).await.state == RecordingState::Parked).await;
    let row = node.row(recording).await;
    let error = row.error.clone().unwrap_or_default();
    assert!(error.contains("its node lost was lost") && error.contains("nothing of it"), "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_nodes_recording_of_which_nothing_was_uploaded_is_parked_until_the_node_returns() {
    let cluster = Cluster::new().await;
    let (mut lost, mut other) = (cluster.node("lost").await, cluster.node("other").await);
    lost.start();
    let (mut live, mut finalized) = (lost.begin().await, lost.begin().await);
    live.grow(PART / 2);
    finalized.grow(PART / 2);
    lost.beat().await;
    lost.crash().await;
    finalized.finalize(&lost, EndReason::Requested).await;
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    for recording in [&live, &finalized] {
        assert_parked(&other, recording).await;
    }
    let session = other.store.session(&live.begun.tenant, live.begun.id.into()).await.unwrap();
    assert_eq!(session.1, Some(EndReason::Crash));
    lost.beat().await;
    live.finalize(&lost, EndReason::Crash).await;
    assert_eq!(lost.row(&live).await.state, RecordingState::Processing);
    lost.start();
    for recording in [&live, &finalized] {
        assert_safe(&cluster, &lost, recording).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_unreachable_gets_its_open_recordings_back() {
    let cluster = Cluster::new().await;
    let (mut lost, mut other) = (cluster.node("lost").await, cluster.node("other").await);
    lost.beat().await;
    let mut live = lost.begin().await;
    live.grow(PART / 2);
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    assert_parked(&other, &live).await;
    other.stop().await;
    lost.start();
    let row = async || lost.row(&live).await;
    wait_for("recording", async || row().await.state == RecordingState::Recording).await;
    assert_eq!((row().await.error, row().await.ended_at), (None, None));
    live.grow(PART);
    live.finalize(&lost, EndReason::Requested).await;
    assert_safe(&cluster, &lost, &live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_a_live_node_is_not_parked() {
    let cluster = Cluster::new().await;
    let (mut node, mut other) = (cluster.node("a").await, cluster.node("other").await);
    other.config.node_lost_after = Some(Duration::from_secs(2));
    node.start();
    other.start();
    let mut recording = node.begin().await;
    for _ in 0..30 {
        node.beat().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(node.row(&recording).await.state, RecordingState::Recording);
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_nodes_upload_is_completed_by_another_node_and_replaced_when_the_node_returns() {
    let cluster = Cluster::new().await;
    let (mut lost, mut other) = (cluster.node("lost").await, cluster.node("other").await);
    (lost.default_renditions, other.default_renditions) = (vec!["copy"], vec!["copy"]);
    lost.start();
    let (mut live, mut finalized, mut short) = (lost.begin().await, lost.begin().await, lost.begin().await);
    for recording in [&mut live, &mut finalized] {
        recording.grow(3 * PART + 1000);
        lost.until_sent(recording, 3).await;
    }
    short.grow(PART);
    lost.until_sent(&short, 1).await;
    lost.beat().await;
    lost.crash().await;
    let at_crash = live.content.clone();
    finalized.finalize(&lost, EndReason::Requested).await;
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    for recording in [&live, &finalized] {
        other.until_available(recording).await;
        let row = other.row(recording).await;
        assert!(row.error.as_ref().unwrap().contains("node lost was lost"), "{row:?}");
        assert_eq!(row.object_key, Some(recording.key()));
        assert!(
            cluster.object(&recording.key()).await == at_crash[..3 * PART]
                || recording.begun.id == finalized.begun.id
        );
        let part = cluster.object(&recording.key()).await;
        assert_eq!(part.len(), 3 * PART);
        assert_copied(&cluster, &other, recording, &part).await;
    }
    other.until_available(&short).await;
    assert!(
        cluster.object(&short.key()).await == short.content[..PART],
        "the provisional part is all there is"
    );
    assert_copied(&cluster, &other, &short, &short.content[..PART]).await;
    cluster.assert_no_orphans().await;
    // From now on no node is taken for lost, however slow this machine is.
    other.stop().await;
    other.config.node_lost_after = Some(Duration::from_secs(3600));
    other.start();
    lost.beat().await;
    for recording in [&mut live, &mut short] {
        recording.finalize(&lost, EndReason::Crash).await;
    }
    lost.start();
    for recording in [&live, &finalized, &short] {
        let whole = async || lost.row(recording).await.error.is_none() && !recording.directory.exists();
        wait_for("the whole recording", whole).await;
        assert_copied(&cluster, &lost, recording, &recording.content).await;
    }
    // Only now, since `assert_safe` finds every open upload of the bucket.
    for recording in [&live, &finalized, &short] {
        assert_safe(&cluster, &lost, recording).await;
    }
}

/// Waits until the only default rendition is made of this media.
async fn assert_copied(cluster: &Cluster, node: &TestNode, recording: &TestRecording, media: &[u8]) {
    let renditions =
        async || node.store.renditions_of(&recording.begun.tenant, recording.begun.id).await.unwrap();
    let whole = |one: &Rendition| one.bytes == (one.parameters.len() + media.len()) as u64;
    wait_for("the rendition", async || renditions().await.iter().any(whole)).await;
    let made = renditions().await;
    assert_eq!((made.len(), made[0].state, made[0].kind.as_str()), (1, RenditionState::Available, "copy"));
    let object = cluster.object(&made[0].object_key).await;
    assert!(
        object == [made[0].parameters.as_bytes(), media].concat(),
        "the rendition was made of other media"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_live_node_is_not_completed_by_another() {
    let cluster = Cluster::new().await;
    let (mut node, mut other) = (cluster.node("a").await, cluster.node("other").await);
    let lost_after = Duration::from_secs(5);
    other.config.node_lost_after = Some(lost_after);
    let _beats = node.beat_until_dropped().await;
    node.start();
    other.start();
    let mut recording = node.begin().await;
    recording.grow(2 * PART);
    node.until_sent(&recording, 2).await;
    // Without its heartbeats the node would be lost by now.
    tokio::time::sleep(lost_after + Duration::from_secs(2)).await;
    assert_eq!(node.row(&recording).await.state, RecordingState::Recording);
    recording.finalize(&node, EndReason::Requested).await;
    assert_safe(&cluster, &node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescued_recording_stays_available_when_its_node_returns_without_its_disk() {
    let cluster = Cluster::new().await;
    let (mut lost, mut other) = (cluster.node("lost").await, cluster.node("other").await);
    lost.start();
    let mut recording = lost.begin().await;
    recording.grow(3 * PART + 1000);
    lost.until_sent(&recording, 3).await;
    lost.beat().await;
    lost.crash().await;
    recording.finalize(&lost, EndReason::Requested).await;
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    other.until_available(&recording).await;
    fs::remove_dir_all(&recording.directory).unwrap();

    lost.beat().await;
    lost.start();
    let uploaded = async || {
        let jobs = lost.store.jobs_of(recording.begun.id).await.unwrap();
        let state = jobs.iter().find(|job| job.kind == JobKind::Upload).unwrap().state;
        assert_ne!(state, JobState::Parked);
        state == JobState::Done
    };
    wait_for("the upload job is done", uploaded).await;
    let row = lost.row(&recording).await;
    assert_eq!(row.state, RecordingState::Available, "{row:?}");
    assert!(row.error.unwrap().contains("node lost was lost"), "the error still says what is missing");
    assert_eq!(cluster.object(&recording.key()).await.len(), 3 * PART);
}
