//! From the spool into the object store: what happens when all is well, and when it isn't.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, time::Duration};

use model::{JobKind::*, JobState, Progress, RecordingState};
use support::{House, blobs::Put};

#[tokio::test(start_paused = true)]
async fn a_sealed_file_is_uploaded_verified_and_removed_from_the_spool() {
    let house = House::new();
    let recording = house.finalize(b"media");
    house.start();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.state(&recording), RecordingState::Available);
    assert_eq!(fs::read(house.object(&recording)).unwrap(), b"media");
    assert!(!house.file(&recording).parent().unwrap().exists());
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_tells_how_much_of_it_is_confirmed_how_fast_it_is_and_what_it_will_still_take() {
    let house = House::new();
    house.blobs.script([Put::InHalves]);
    let recording = house.finalize(&[7; 1000]);
    house.start();
    let told = async |least: f64| loop {
        match house.store.job(recording.id, Upload).unwrap().progress {
            Some(progress) if progress.fraction >= least => break progress,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    assert_eq!(told(0.0).await, Progress { fraction: 0.0, speed: 0.0, remaining: None });
    // Half of its time in ten seconds.
    let speed = recording.duration.as_secs_f64() / 20.0;
    for (fraction, remaining) in [(0.5, 10.0), (1.0, 0.0)] {
        let now = told(fraction).await;
        let (left, off) = (now.remaining.unwrap().as_secs_f64(), (now.speed - speed).abs());
        assert!(now.fraction == fraction && off < 0.001 && (left - remaining).abs() < 0.1, "{now:?}");
    }
    house.until(&recording, CleanUp, JobState::Done).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_gets_the_file_later() {
    let house = House::new();
    house.blobs.script([Put::Unavailable, Put::Refused, Put::Unavailable]);
    let recording = house.finalize(b"media");
    house.start();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.state(&recording), RecordingState::Available);
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 4);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_the_job_is_parked_and_the_media_kept() {
    let house = House::new();
    house.blobs.script([Put::Refused; 4]);
    let recording = house.finalize(b"media");
    house.start();
    house.until(&recording, Upload, JobState::Parked).await;
    assert_eq!(house.state(&recording), RecordingState::Parked);
    assert!(house.store.recording_now(recording.id).error.unwrap().contains("403"));
    assert_eq!(fs::read(house.file(&recording)).unwrap(), b"media");
    assert_eq!(house.store.job(recording.id, CleanUp), None);
    assert_eq!(house.blobs.puts(recording.object_key.as_ref().unwrap()), 4);
}

#[tokio::test(start_paused = true)]
async fn a_parked_upload_that_a_person_repeats_makes_the_recording_available() {
    let house = House::new();
    house.blobs.script([Put::Refused; 4]);
    let recording = house.finalize(b"media");
    house.start();
    house.until(&recording, Upload, JobState::Parked).await;
    let job = house.store.job(recording.id, Upload).unwrap();
    store::Store::retry(&*house.store, &recording.tenant, job.id).await.unwrap();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.state(&recording), RecordingState::Available);
}

#[tokio::test(start_paused = true)]
async fn a_missing_file_parks_at_once() {
    let house = House::new();
    let recording = house.finalize(b"media");
    fs::remove_file(house.file(&recording)).unwrap();
    house.start();
    house.until(&recording, Upload, JobState::Parked).await;
    assert_eq!(house.store.job(recording.id, Upload).unwrap().attempts, 1);
    assert!(house.store.recording_now(recording.id).error.unwrap().contains("missing"));
}

#[tokio::test(start_paused = true)]
async fn a_missing_file_whose_object_is_whole_is_available() {
    let house = House::new();
    let recording = house.finalize(b"media");
    let object = house.object(&recording);
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::rename(house.file(&recording), object).unwrap();
    house.start();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.state(&recording), RecordingState::Available);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_what_was_sealed_is_not_stored_but_kept() {
    for damage in [&b"medib"[..], b"medi"] {
        let house = House::new();
        let recording = house.finalize(b"media");
        fs::write(house.file(&recording), damage).unwrap();
        house.start();
        house.until(&recording, Upload, JobState::Parked).await;
        assert!(!house.object(&recording).exists());
        assert_eq!(fs::read(house.file(&recording)).unwrap(), damage);
    }
}

#[tokio::test(start_paused = true)]
async fn a_checksum_that_is_not_known_is_written_down_before_the_upload() {
    let house = House::new();
    house.blobs.script([Put::Unavailable]);
    let recording = house.finalize(b"media");
    house.store.edit(recording.id, |recording| recording.sha256 = None);
    house.start();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.store.recording_now(recording.id).sha256, recording.sha256);
    assert_eq!(fs::read(house.object(&recording)).unwrap(), b"media");
}

#[tokio::test(start_paused = true)]
async fn a_recording_without_a_sealed_file_is_parked() {
    let house = House::new();
    let recording = house.finalize(b"media");
    house.store.edit(recording.id, |recording| recording.object_key = None);
    house.start();
    house.until(&recording, Upload, JobState::Parked).await;
    assert!(house.store.recording_now(recording.id).error.unwrap().contains("object key"));
    assert!(house.file(&recording).exists());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_recording_is_not_brought_back() {
    let house = House::new();
    let recording = house.finalize(b"media");
    house.store.edit(recording.id, |recording| recording.state = RecordingState::Deleted);
    house.start();
    house.until(&recording, Upload, JobState::Done).await;
    assert_eq!(house.state(&recording), RecordingState::Deleted);
    assert!(!house.object(&recording).exists());
}

#[tokio::test(start_paused = true)]
async fn what_an_upload_had_stored_when_it_was_killed_goes_if_its_recording_was_deleted_meanwhile() {
    let house = House::new();
    let recording = house.finalize(b"media");
    let object = house.object(&recording);
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::write(&object, b"media").unwrap();
    house.store.edit(recording.id, |recording| recording.state = RecordingState::Deleted);
    house.start();
    house.until(&recording, Upload, JobState::Done).await;
    assert!(!object.exists());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_costs_an_attempt_and_no_worker() {
    let mut house = House::new();
    house.config.upload_workers = 1;
    house.blobs.script([Put::Panic, Put::Panic]);
    let (first, second) = (house.finalize(b"first"), house.finalize(b"second"));
    house.start();
    house.until(&first, CleanUp, JobState::Done).await;
    house.until(&second, CleanUp, JobState::Done).await;
    let attempts = |recording| house.store.job(recording, Upload).unwrap().attempts;
    assert_eq!(attempts(first.id) + attempts(second.id), 4);
}
