//! Renditions of open recordings: the rows of their segments, how segments become the rendition, and what happens after a
//! failure.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use jobs::{OpenFile, RenderError};
use model::{JobKind, Recording, RecordingId, RecordingState, Segment, SegmentState};
use store::{FinalizedRecording, Store as _};
use support::{
    finished_file,
    follower::Fault,
    harness::{Harness, INTERVAL, MP3, seconds},
    wait_for,
};
use uuid::Uuid;

#[tokio::test]
async fn each_interval_becomes_a_segment_whose_state_is_in_the_database() {
    use SegmentState::{Done, InProgress, Queued};
    let node = Harness::new([Fault::DiesAfter(u32::MAX)]).await;
    node.grows_to(seconds(25), 2);
    let segments = node.states(&[Done, Done]).await;
    assert_eq!((segments[1].start, segments[1].duration), (INTERVAL, INTERVAL));
    assert_eq!((segments[1].bytes, segments[1].number, segments[1].error.as_ref()), (5, 1, None));
    assert_eq!(segments.iter().map(|segment| segment.media_bytes).sum::<u64>(), 2_500);
    assert_eq!(node.files(), 2);
    node.grows_to(seconds(40), 2);
    node.states(&[Done, Done, Done, Done]).await;
    assert_eq!(node.renderer.followers.begun(), 1);
    // Media that is not final yet counts, too.
    let slow = Harness::new([]).await;
    slow.grows_to(seconds(10), 2);
    slow.states(&[Done]).await;
    let behind = |file: &mut OpenFile| (file.recorded, file.bytes) = (seconds(39), 3_900);
    slow.live.0.lock().unwrap().iter_mut().for_each(behind);
    let segments = slow.states(&[Done, InProgress, Queued]).await;
    assert_eq!(segments.iter().map(|segment| segment.media_bytes).sum::<u64>(), 3_900);
    slow.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn a_recording_shorter_than_a_segment_is_not_followed() {
    let node = Harness::new([]).await;
    node.grows_to(seconds(9), 2);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(node.renderer.followers.begun(), 0);
    node.finalize().await;
    let (_, content) = node.rendition().await;
    assert!(content.starts_with(MP3.as_bytes()), "rendered");
    node.stop().await;
}

#[tokio::test]
async fn at_the_end_the_segments_are_joined_and_removed() {
    let node = Harness::new([]).await;
    node.grows_to(seconds(25), 2);
    node.states(&[SegmentState::Done; 2]).await;
    node.finalize().await;
    let (rendition, content) = node.rendition().await;
    assert_eq!(content, b"4 segments");
    assert_eq!(rendition.duration, seconds(40));
    assert_eq!(node.renderer.begun(), 0, "renders of the whole file");
    wait_for("no segment is left", async || node.files() == 0).await;
    node.states(&[]).await;
    wait_for("the follower ends", async || node.renderer.followers.alive() == 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_follower_that_dies_starts_again_and_its_segment_is_failed_until_then() {
    use SegmentState::{Done, Failed, Queued};
    let refused = RenderError::Transient("no process can be started".to_owned());
    let faults = [Fault::DiesAfter(1), Fault::Refused(refused.clone()), Fault::Refused(refused)];
    let node = Harness::new(faults).await;
    node.grows_to(seconds(30), 2);
    node.states(&[Done, Done, Done]).await;
    assert_eq!(node.renderer.followers.begun(), 4);
    node.finalize().await;
    assert_eq!(node.rendition().await.1, b"4 segments");
    node.stop().await;

    let failing = Harness::new([0, 1, 2, 1].map(Fault::DiesAfter)).await;
    failing.grows_to(seconds(30), 2);
    wait_for("four attempts", async || failing.renderer.followers.begun() == 4).await;
    let segments = failing.states(&[Queued, Failed, Queued]).await;
    assert_eq!(segments[1].error.as_deref(), Some("killed by signal 9"));
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(failing.renderer.followers.begun(), 4, "no more attempts");
    failing.grows_to(seconds(40), 2);
    failing.states(&[Queued, Failed, Queued, Queued]).await;
    failing.finalize().await;
    assert!(failing.rendition().await.1.starts_with(MP3.as_bytes()), "rendered of the whole file");
    failing.states(&[]).await;
    wait_for("no segment is left", async || failing.files() == 0).await;
    failing.stop().await;
}

#[tokio::test]
async fn a_joining_track_has_all_segments_made_again() {
    let node = Harness::new([]).await;
    node.grows_to(seconds(30), 2);
    node.states(&[SegmentState::Done; 3]).await;
    node.grows_to(seconds(30), 3);
    wait_for("another follower", async || node.renderer.followers.begun() == 2).await;
    node.states(&[SegmentState::Done; 3]).await;
    let only = async || (node.renderer.followers.alive(), node.files()) == (1, 3);
    wait_for("only the new one is left", only).await;
    node.stop().await;
}

#[tokio::test]
async fn a_recording_that_can_not_be_followed_is_tried_again_when_a_track_joins() {
    let silent = RenderError::Permanent("the file has no track of audio".to_owned());
    let node = Harness::new([Fault::Refused(silent)]).await;
    node.grows_to(seconds(30), 1);
    wait_for("the first follower", async || node.renderer.followers.begun() == 1).await;
    node.grows_to(seconds(40), 1);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!((node.renderer.followers.begun(), node.segments().await), (1, Vec::new()));
    node.grows_to(seconds(50), 2);
    node.states(&[SegmentState::Done; 5]).await;
    node.finalize().await;
    assert_eq!(node.rendition().await.1, b"5 segments");
    node.stop().await;
}

#[tokio::test]
async fn segments_that_are_not_ready_in_time_are_not_used() {
    let node =
        Harness::with([Fault::HangsAtTheEnd], |segments| segments.wait = Duration::from_millis(300).into())
            .await;
    node.grows_to(seconds(30), 2);
    node.states(&[SegmentState::Done; 3]).await;
    node.finalize().await;
    assert!(node.rendition().await.1.starts_with(MP3.as_bytes()), "rendered of the whole file");
    wait_for("the follower ends", async || node.renderer.followers.alive() == 0).await;
    wait_for("no segment is left", async || node.files() == 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_render_that_is_cancelled_while_it_waits_for_segments_ends_at_once() {
    let node = Harness::new([Fault::HangsAtTheEnd]).await;
    node.grows_to(seconds(30), 2);
    node.states(&[SegmentState::Done; 3]).await;
    let recording = node.finalize().await;
    let render = loop {
        let jobs = node.store.jobs_of(recording.id).await.unwrap();
        let render = jobs.iter().find(|job| job.kind == JobKind::Render && job.attempts > 0);
        if let Some(render) = render {
            break render.id;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    node.store.cancel(&recording.tenant, render).await.unwrap();
    wait_for("the follower ends", async || node.renderer.followers.alive() == 0).await;
    wait_for("no segment is left", async || node.files() == 0).await;
    assert_eq!(node.renderer.begun(), 0);
    node.stop().await;
}

#[tokio::test]
async fn followers_stop_with_the_node_and_are_no_more_than_configured() {
    let node = Harness::with([], |segments| segments.followers = 1).await;
    node.grows_to(seconds(30), 2);
    let wav: Arc<str> = Arc::from(r#"{"kind":"wav"}"#);
    node.live.0.lock().unwrap()[0].derived = Arc::from([Arc::from(MP3), wav]);
    node.states(&[SegmentState::Done; 3]).await;
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(node.renderer.followers.begun(), 1);
    let (renderer, shutdown) = (node.renderer.clone(), node.shutdown.clone());
    node.stop().await;
    assert!(shutdown.is_cancelled());
    assert_eq!(renderer.followers.alive(), 0);
}

#[tokio::test]
async fn a_start_removes_the_segments_of_an_earlier_run() {
    let mut node = Harness::new([]).await;
    node.shutdown.cancel();
    node.workers.take().unwrap().stopped().await;
    let left = node.config.segments.directory.join(RecordingId::new().to_string());
    fs::create_dir_all(left.join(Uuid::new_v4().to_string())).unwrap();
    node.start();
    assert!(!left.exists());
    node.stop().await;
}

#[tokio::test]
async fn old_segments_that_were_not_joined_are_removed() {
    let node = Harness::with([], |segments| {
        segments.keep = Duration::from_secs(24 * 3600).into();
        segments.clean_up_interval = Duration::from_millis(50).into();
    })
    .await;
    let old = RecordingId::new();
    let directory = node.directory.path().join("segments").join(old.to_string());
    let run = directory.join(Uuid::new_v4().to_string());
    fs::create_dir_all(&run).unwrap();
    let age = |hours: u64| {
        let then = std::time::SystemTime::now() - Duration::from_secs(hours * 3600);
        let set = |path: PathBuf| fs::File::open(path).unwrap().set_modified(then).unwrap();
        set(run.clone());
        set(directory.clone());
    };
    age(23);
    let ended = Utc::now() - TimeDelta::hours(25);
    let recording = Recording { ended_at: Some(ended), ..finished_file(&node.config, b"old") };
    let row = FinalizedRecording { recording: recording.clone(), jobs: Vec::new(), renditions: Vec::new() };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(directory.exists());
    node.grows_to(seconds(10), 2);
    node.states(&[SegmentState::Done]).await;
    node.store.finalize(&row).await.unwrap();
    let left = Segment { recording: recording.id, ..node.segments().await[0].clone() };
    node.store.write_segment(&left).await.unwrap();
    age(25);
    wait_for("the old directory is gone", async || !directory.exists()).await;
    loop {
        let rows = node.store.segments_of(&recording.tenant, recording.id).await.unwrap();
        if rows.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((node.segments().await.len(), node.files()), (1, 1), "segments of the open recording stay");
    node.stop().await;
}

#[tokio::test]
async fn a_deletion_removes_the_rows_of_segments() {
    let refused = RenderError::Permanent("no track of audio".to_owned());
    let node = Harness::new([Fault::DiesAfter(1), Fault::Refused(refused)]).await;
    node.grows_to(seconds(30), 2);
    wait_for("two attempts", async || node.renderer.followers.begun() == 2).await;
    let recording = node.finalize().await;
    node.rendition().await;
    let left = Segment {
        recording: recording.id,
        parameters: MP3.to_owned(),
        number: 0,
        node: recording.node.clone(),
        state: SegmentState::Failed,
        start: Duration::ZERO,
        duration: INTERVAL,
        media_bytes: 0,
        bytes: 0,
        error: None,
        created_at: Utc::now(),
    };
    node.store.write_segment(&left).await.unwrap();
    node.store.delete_recording(&recording.tenant, recording.id, "").await.unwrap();
    node.states(&[]).await;
    let read = node.store.recording(&recording.tenant, recording.id).await.unwrap();
    assert_eq!(read.state, RecordingState::Deleted);
    node.stop().await;
}
