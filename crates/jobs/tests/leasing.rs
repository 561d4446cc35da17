//! Leases: renewed while a job runs, lost, given back at shutdown; and several workers at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use model::{JobKind::*, JobState, RecordingState};
use support::{local_node::LocalNode, wait_for};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_lease_is_renewed_while_its_job_runs() {
    let mut node = LocalNode::new().await;
    node.config.workers.lease = (3 * SECOND).into();
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    tokio::time::sleep(7 * SECOND).await;
    node.blobs.release();
    node.until(&recording, CleanUp, JobState::Done).await;
    let key = recording.object_key.as_ref().unwrap();
    assert_eq!((node.attempts(&recording, Upload).await, node.blobs.puts(key)), (1, 1));
    // Once a second, a third of the lease.
    assert!((5..=9).contains(&node.store.renewals()), "{} renewals", node.store.renewals());
}

#[tokio::test]
async fn a_lost_lease_cancels_the_run_and_changes_nothing() {
    let mut node = LocalNode::new().await;
    node.config.workers.lease = (3 * SECOND).into();
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.take_leases();
    wait_for("the run is cancelled", async || node.blobs.cancelled() == 1).await;
    assert_eq!(node.job(&recording, Upload).await.unwrap().state, JobState::InProgress);
    assert_eq!(node.state(&recording).await, RecordingState::Processing);
    // The other worker does nothing. Its lease runs out, and the job is run again.
    node.blobs.release();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(node.attempts(&recording, Upload).await, 1, "a lost lease is no failure");
}

#[tokio::test]
async fn a_database_that_is_away_for_less_than_the_lease_disturbs_no_run() {
    let mut node = LocalNode::new().await;
    node.config.workers.lease = (10 * SECOND).into();
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.set_away(true);
    // The first renewal, after a third of the lease, fails.
    tokio::time::sleep(5 * SECOND).await;
    node.store.set_away(false);
    wait_for("a renewal", async || node.store.renewals() > 0).await;
    node.blobs.release();
    node.until(&recording, CleanUp, JobState::Done).await;
    let key = recording.object_key.as_ref().unwrap();
    assert_eq!((node.attempts(&recording, Upload).await, node.blobs.puts(key)), (1, 1));
}

#[tokio::test]
async fn a_database_that_is_away_for_longer_than_the_lease_cancels_the_run() {
    let mut node = LocalNode::new().await;
    node.config.workers.lease = (2 * SECOND).into();
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.set_away(true);
    let away = Instant::now();
    wait_for("the run is cancelled", async || node.blobs.cancelled() == 1).await;
    // The run ends at the end of its lease; a slow machine notices that late.
    assert!(
        away.elapsed() <= 2 * node.config.workers.lease.0,
        "the run outlived its lease: {:?}",
        away.elapsed()
    );
    node.store.set_away(false);
    node.blobs.release();
    node.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(
        node.attempts(&recording, Upload).await,
        1,
        "an outage of the database is no failure of the job"
    );
}

#[tokio::test]
async fn an_outcome_that_can_not_be_committed_at_once_is_committed_later() {
    let node = LocalNode::new().await;
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.set_away(true);
    node.blobs.release();
    wait_for("the upload ends", async || node.blobs.running() == 0).await;
    tokio::time::sleep(2 * SECOND).await;
    node.store.set_away(false);
    node.until(&recording, CleanUp, JobState::Done).await;
    let key = recording.object_key.as_ref().unwrap();
    assert_eq!((node.attempts(&recording, Upload).await, node.blobs.puts(key)), (1, 1));
}

#[tokio::test]
async fn workers_outlive_a_database_that_is_away() {
    let node = LocalNode::new().await;
    node.store.set_away(true);
    node.start();
    let recording = node.finalize(b"media").await;
    tokio::time::sleep(3 * SECOND).await;
    node.store.set_away(false);
    node.until(&recording, CleanUp, JobState::Done).await;
}

#[tokio::test]
async fn a_shutdown_gives_the_leases_back_promptly() {
    let mut node = LocalNode::new().await;
    node.config.workers.lease = (600 * SECOND).into();
    node.blobs.hold();
    let recording = node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    let asked = Instant::now();
    node.stop().await;
    assert!(asked.elapsed() < 10 * SECOND, "{:?}", asked.elapsed());
    assert_eq!(node.blobs.cancelled(), 1);
    let job = node.job(&recording, Upload).await.unwrap();
    assert_eq!((job.state, job.attempts, job.error), (JobState::Queued, 0, None), "a shutdown is no failure");
    // The next workers need not wait until the lease runs out.
    node.blobs.release();
    node.start();
    node.until(&recording, CleanUp, JobState::Done).await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_database_that_is_away() {
    let mut node = LocalNode::new().await;
    node.blobs.hold();
    node.finalize(b"media").await;
    node.start();
    node.until_uploading().await;
    node.store.set_away(true);
    let asked = Instant::now();
    node.stop().await;
    assert!(asked.elapsed() < 20 * SECOND, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sets_of_workers_never_run_one_job_twice() {
    let node = LocalNode::new().await;
    node.start();
    node.start();
    let mut recordings = Vec::new();
    for n in 0..40_u8 {
        recordings.push(node.finalize(&[n; 100]).await);
    }
    for recording in &recordings {
        node.until(recording, CleanUp, JobState::Done).await;
        assert_eq!(node.blobs.puts(recording.object_key.as_ref().unwrap()), 1);
    }
    assert_eq!(node.store.leases(), 80);
}

#[tokio::test]
async fn no_more_uploads_run_than_there_are_workers() {
    let mut node = LocalNode::new().await;
    node.config.workers.upload_workers = 3;
    node.blobs.hold();
    let mut recordings = Vec::new();
    for n in 0..10_u8 {
        recordings.push(node.finalize(&[n; 100]).await);
    }
    node.start();
    wait_for("three uploads", async || node.blobs.running() == 3).await;
    tokio::time::sleep(SECOND).await;
    node.blobs.release();
    for recording in &recordings {
        node.until(recording, CleanUp, JobState::Done).await;
    }
    assert_eq!(node.blobs.most_running(), 3);
}

#[tokio::test]
async fn settings_of_zero_stop_no_worker() {
    let mut node = LocalNode::new().await;
    node.config.workers.upload_workers = 0;
    (node.config.workers.poll, node.config.workers.first_backoff) =
        (Duration::ZERO.into(), Duration::ZERO.into());
    node.start();
    tokio::time::sleep(SECOND).await;
    let recording = node.finalize(b"media").await;
    node.until(&recording, CleanUp, JobState::Done).await;
}

#[test]
fn a_run_whose_process_was_killed_is_repeated_under_the_same_key() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let killed = runtime();
    let (mut node, recording) = killed.block_on(async {
        let mut node = LocalNode::new().await;
        node.config.workers.lease = (3 * SECOND).into();
        node.blobs.hold();
        let recording = node.finalize(b"media").await;
        node.start();
        node.until_uploading().await;
        (node, recording)
    });
    // Every task is dropped where it is.
    killed.shutdown_background();
    runtime().block_on(async {
        node.reopen_store().await;
        assert_eq!(node.job(&recording, Upload).await.unwrap().state, JobState::InProgress);
        node.blobs.release();
        node.start();
        node.until(&recording, CleanUp, JobState::Done).await;
        let key = recording.object_key.as_ref().unwrap();
        assert_eq!((node.blobs.puts(key), node.state(&recording).await), (2, RecordingState::Available));
        node.stop().await;
    });
}
