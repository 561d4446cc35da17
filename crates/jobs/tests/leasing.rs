//! Leases: kept while a job runs, lost, given back; and workers beside each other.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{sync::Arc, time::Duration};

use model::{JobKind::*, JobState, RecordingState};
use support::{House, wait_until};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_its_job_runs() {
    let house = House::new();
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    tokio::time::sleep(Duration::from_secs(3610)).await;
    house.blobs.release();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1);
    // At a third of 60 s.
    assert_eq!(house.store.renewals(), 3610 / 20);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_cancels_the_run_and_changes_nothing() {
    let house = House::new();
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    house.store.steal_leases();
    wait_until(|| house.blobs.cancelled() == 1, || "not cancelled".into()).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().state, JobState::InProgress);
    assert_eq!(house.state(&recording), RecordingState::Processing);
    // The thief does nothing; its lease runs out, and the job is run again.
    house.blobs.release();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1, "it has not failed");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_for_less_than_the_lease_disturbs_no_run() {
    let house = House::new();
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    house.store.set_away(true);
    tokio::time::sleep(Duration::from_secs(50)).await;
    house.store.set_away(false);
    tokio::time::sleep(Duration::from_secs(600)).await;
    house.blobs.release();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_for_longer_than_the_lease_cancels_the_run() {
    let house = House::new();
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    house.store.set_away(true);
    let away = Instant::now();
    wait_until(|| house.blobs.cancelled() == 1, || "not cancelled".into()).await;
    assert!(away.elapsed() <= house.config.lease, "the run outlived its lease");
    house.store.set_away(false);
    house.blobs.release();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1, "it has not failed");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_can_not_be_written_down_at_first_is_written_later() {
    let house = House::new();
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    house.store.set_away(true);
    house.blobs.release();
    tokio::time::sleep(Duration::from_secs(30)).await;
    house.store.set_away(false);
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn workers_outlive_a_database_that_is_away() {
    let house = House::new();
    house.store.set_away(true);
    house.start();
    let recording = house.finalize(b"media");
    tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
    house.store.set_away(false);
    let back = Instant::now();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert!(back.elapsed() <= Duration::from_secs(60), "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_the_leases_back_promptly() {
    let mut house = House::new();
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    let asked = Instant::now();
    house.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(house.blobs.cancelled(), 1);
    assert!(!house.store.is_leased(recording.id, Upload));
    let job = house.store.job(recording.id, Upload).unwrap();
    assert_eq!((job.state, job.attempts, job.error), (JobState::Queued, 0, None), "it has not failed");
    // Who comes next needs not wait for the lease to run out.
    house.blobs.release();
    house.start();
    let started = Instant::now();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_database_that_is_away() {
    let mut house = House::new();
    house.blobs.hold();
    house.finalize(b"media");
    house.start();
    wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    house.store.set_away(true);
    let asked = Instant::now();
    house.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_sets_of_workers_never_run_one_job_twice() {
    let house = House::new();
    house.start();
    house.start();
    let recordings: Vec<_> = (0..40_u8).map(|n| house.finalize(&[n; 100])).collect();
    for recording in &recordings {
        house.until(recording, CleanUp, JobState::Done).await;
        assert_eq!(house.blobs.puts(recording.object_key.as_ref().unwrap()), 1);
    }
    assert_eq!(house.store.leases(), 80);
}

#[tokio::test(start_paused = true)]
async fn no_more_uploads_run_than_there_are_workers() {
    let mut house = House::new();
    house.config.upload_workers = 3;
    house.blobs.hold();
    let recordings: Vec<_> = (0..10_u8).map(|n| house.finalize(&[n; 100])).collect();
    house.start();
    wait_until(|| house.blobs.running() == 3, || "fewer than three".into()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    house.blobs.release();
    for recording in &recordings {
        house.until(recording, CleanUp, JobState::Done).await;
    }
    assert_eq!(house.blobs.most_running(), 3);
}

#[tokio::test(start_paused = true)]
async fn settings_of_nothing_at_all_stop_no_worker() {
    let mut house = House::new();
    (house.config.upload_workers, house.config.lease) = (0, Duration::from_secs(60));
    (house.config.poll, house.config.first_backoff) = (Duration::ZERO, Duration::ZERO);
    house.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let recording = house.finalize(b"media");
    house.until(&recording, CleanUp, JobState::Done).await;
}

#[test]
fn a_run_that_was_killed_midway_is_repeated_under_the_same_key() {
    let mut house = House::new();
    house.config.lease = Duration::from_secs(3);
    house.config.poll = Duration::from_millis(50);
    let house = Arc::new(house);
    house.blobs.hold();
    let recording = house.finalize(b"media");

    let killed = tokio::runtime::Runtime::new().unwrap();
    killed.block_on(async {
        house.start();
        wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    });
    // Every task is dropped where it is.
    killed.shutdown_background();
    assert!(house.store.is_leased(recording.id, Upload));

    house.blobs.release();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        house.start();
        house.until(&recording, CleanUp, JobState::Done).await;
    });
    let key = recording.object_key.as_ref().unwrap();
    assert_eq!((house.blobs.puts(key), house.state(&recording)), (2, RecordingState::Available));
}
