//! Nodes that are lost before they have uploaded anything, on SQLite and a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use model::{EndReason, RecordingState};
use store::Store as _;
use support::cluster::{Cluster, PART, TestNode, TestRecording, wait_for};

/// It is given up with its node, and says so.
async fn assert_given_up(station: &TestNode, take: &TestRecording) {
    let state = async || station.row(take).await.state;
    wait_for("given up", async || state().await == RecordingState::Parked).await;
    let row = station.row(take).await;
    let error = row.error.clone().unwrap_or_default();
    assert!(error.contains("its node lost was lost") && error.contains("nothing of it"), "{row:?}");
}

/// All of it is there, and nothing tells of what was.
async fn assert_whole(yard: &Cluster, station: &TestNode, take: &TestRecording) {
    station.until_available(take).await;
    station.until_tidy(take).await;
    assert_eq!(station.row(take).await.error, None);
    assert!(yard.object(&take.key()).await == take.content, "the object is not what was sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_node_had_sent_nothing_of_is_given_up_and_goes_on_when_it_comes_back() {
    let yard = Cluster::new().await;
    let (mut lost, mut other) = (yard.station("lost").await, yard.station("other").await);
    lost.start();
    let (mut live, mut sealed) = (lost.begin().await, lost.begin().await);
    live.grow(PART / 2);
    sealed.grow(PART / 2);
    lost.beat().await;
    lost.crash().await;
    sealed.finalize(&lost, EndReason::Requested).await;
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    for take in [&live, &sealed] {
        assert_given_up(&other, take).await;
    }
    let session = other.store.session(&live.begun.tenant, live.begun.id.into()).await.unwrap();
    assert_eq!(session.1, Some(EndReason::Crash));
    lost.beat().await;
    live.finalize(&lost, EndReason::Crash).await;
    assert_eq!(lost.row(&live).await.state, RecordingState::Processing);
    lost.start();
    for take in [&live, &sealed] {
        assert_whole(&yard, &lost, take).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_out_of_reach_goes_on_with_what_it_records() {
    let yard = Cluster::new().await;
    let (mut lost, mut other) = (yard.station("lost").await, yard.station("other").await);
    lost.beat().await;
    let mut live = lost.begin().await;
    live.grow(PART / 2);
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    assert_given_up(&other, &live).await;
    other.stop().await;
    lost.start();
    let row = async || lost.row(&live).await;
    wait_for("recording", async || row().await.state == RecordingState::Recording).await;
    assert_eq!((row().await.error, row().await.ended_at), (None, None));
    live.grow(PART);
    live.finalize(&lost, EndReason::Requested).await;
    assert_whole(&yard, &lost, &live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lives_is_not_given_up() {
    let yard = Cluster::new().await;
    let (mut station, mut other) = (yard.station("a").await, yard.station("other").await);
    other.config.node_lost_after = Some(Duration::from_secs(2));
    station.start();
    other.start();
    let mut take = station.begin().await;
    for _ in 0..30 {
        station.beat().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(station.row(&take).await.state, RecordingState::Recording);
    take.finalize(&station, EndReason::Requested).await;
    assert_whole(&yard, &station, &take).await;
}
