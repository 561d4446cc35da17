//! The last copy of media is never removed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;

use model::{JobKind::*, JobState, Recording, RecordingState};
use support::House;
use tokio_util::sync::CancellationToken;

/// A recording that was uploaded, whose clean-up has not run: the database was taken away in time.
async fn uploaded(house: &mut House) -> Recording {
    house.blobs.hold();
    let recording = house.finalize(b"media");
    house.start();
    support::wait_until(|| house.blobs.running() == 1, || "no upload".into()).await;
    house.store.set_away(true);
    house.blobs.release();
    support::wait_until(|| house.object(&recording).exists(), || "no object".into()).await;
    recording
}

/// Lets the clean-up run until it is given up.
async fn is_refused(house: &House, recording: &Recording, reason: &str) {
    house.store.set_away(false);
    house.until(recording, CleanUp, JobState::Parked).await;
    let error = house.store.recording_now(recording.id).error.unwrap();
    assert!(error.contains(reason), "{error}");
    assert_eq!(house.state(recording), RecordingState::Parked);
    assert!(house.file(recording).exists(), "the last copy was removed");
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_keeps_the_file() {
    let mut house = House::new();
    let recording = uploaded(&mut house).await;
    fs::remove_file(house.object(&recording)).unwrap();
    is_refused(&house, &recording, "no object").await;
}

#[tokio::test(start_paused = true)]
async fn a_shorter_object_keeps_the_file() {
    let mut house = House::new();
    let recording = uploaded(&mut house).await;
    replace_object(&house, &recording, b"med");
    is_refused(&house, &recording, "3 bytes").await;
}

#[tokio::test(start_paused = true)]
async fn an_object_of_the_same_size_with_other_content_keeps_the_file() {
    let mut house = House::new();
    let recording = uploaded(&mut house).await;
    replace_object(&house, &recording, b"medib");
    is_refused(&house, &recording, "not what was sealed").await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_grew_since_the_upload_is_kept() {
    let mut house = House::new();
    let recording = uploaded(&mut house).await;
    replace_object(&house, &recording, b"media");
    fs::write(house.file(&recording), b"media and more").unwrap();
    is_refused(&house, &recording, "14 bytes").await;
}

#[tokio::test(start_paused = true)]
async fn media_beside_the_sealed_file_is_kept() {
    for name in ["other.webm", "segment.mkv", "media.part", "audio.ogg"] {
        let mut house = House::new();
        let recording = uploaded(&mut house).await;
        let other = house.file(&recording).with_file_name(name);
        fs::write(&other, b"never uploaded").unwrap();
        is_refused(&house, &recording, "never stored").await;
        assert!(other.exists());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_up_that_a_person_repeats_makes_the_recording_available_again() {
    let mut house = House::new();
    let recording = uploaded(&mut house).await;
    fs::remove_file(house.object(&recording)).unwrap();
    is_refused(&house, &recording, "no object").await;
    let put = blob::PutFile {
        key: recording.object_key.as_ref().unwrap(),
        path: &house.file(&recording),
        content_type: "video/webm",
        sha256: None,
        confirmed: None,
    };
    blob::BlobStore::put_file(&*house.blobs, put, &CancellationToken::new()).await.unwrap();
    let job = house.store.job(recording.id, CleanUp).unwrap();
    store::Store::retry(&*house.store, &recording.tenant, job.id).await.unwrap();
    house.until(&recording, CleanUp, JobState::Done).await;
    assert_eq!(house.state(&recording), RecordingState::Available);
    assert!(!house.file(&recording).exists());
}

/// The object is a hard link to the file in the spool: it has to be replaced, not written to.
fn replace_object(house: &House, recording: &Recording, content: &[u8]) {
    fs::remove_file(house.object(recording)).unwrap();
    fs::write(house.object(recording), content).unwrap();
}
