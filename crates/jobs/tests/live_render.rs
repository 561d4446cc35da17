//! Renditions that are made while their recordings go on: what the database says meanwhile, how segments become the
//! rendition, and what happens when something fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use jobs::{OpenFile, RenderError};
use model::{JobKind, Recording, RecordingId, RecordingState, Segment, SegmentState};
use store::{FinalizedRecording, Store};
use support::{
    follower::Fault,
    harness::{Harness, INTERVAL, MP3, seconds, until},
    sealed,
};
use uuid::Uuid;

#[tokio::test]
async fn what_is_recorded_becomes_segments_whose_states_are_told() {
    use SegmentState::{Done, InProgress, Queued};
    let studio = Harness::new([Fault::DiesAfter(u32::MAX)]).await;
    studio.grows_to(seconds(25), 2);
    let segments = studio.states(&[Done, Done]).await;
    assert_eq!((segments[1].start, segments[1].duration), (INTERVAL, INTERVAL));
    assert_eq!((segments[1].bytes, segments[1].number, segments[1].error.as_ref()), (5, 1, None));
    assert_eq!(segments.iter().map(|segment| segment.media_bytes).sum::<u64>(), 2_500);
    assert_eq!(studio.files(), 2);
    studio.grows_to(seconds(40), 2);
    studio.states(&[Done, Done, Done, Done]).await;
    assert_eq!(studio.renderer.followers.begun(), 1);
    // What is recorded and not final is told too.
    let slow = Harness::new([]).await;
    slow.grows_to(seconds(10), 2);
    slow.states(&[Done]).await;
    let behind = |file: &mut OpenFile| (file.recorded, file.bytes) = (seconds(39), 3_900);
    slow.live.0.lock().unwrap().iter_mut().for_each(behind);
    let segments = slow.states(&[Done, InProgress, Queued]).await;
    assert_eq!(segments.iter().map(|segment| segment.media_bytes).sum::<u64>(), 3_900);
    slow.stop().await;
    studio.stop().await;
}

#[tokio::test]
async fn a_recording_shorter_than_a_segment_is_not_followed_and_its_rendition_is_made_of_the_whole() {
    let studio = Harness::new([]).await;
    studio.grows_to(seconds(9), 2);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(studio.renderer.followers.begun(), 0);
    studio.finalize().await;
    let (_, content) = studio.rendition().await;
    assert!(content.starts_with(MP3.as_bytes()), "rendered");
    studio.stop().await;
}

#[tokio::test]
async fn at_the_end_the_segments_are_joined_and_go() {
    let studio = Harness::new([]).await;
    studio.grows_to(seconds(25), 2);
    studio.states(&[SegmentState::Done; 2]).await;
    studio.finalize().await;
    let (rendition, content) = studio.rendition().await;
    assert_eq!(content, b"4 segments");
    assert_eq!(rendition.duration, seconds(40));
    assert_eq!(studio.renderer.begun(), 0, "renders of the whole");
    until("no segment is left", || studio.files() == 0).await;
    studio.states(&[]).await;
    until("the follower ends", || studio.renderer.followers.alive() == 0).await;
    studio.stop().await;
}

#[tokio::test]
async fn a_follower_that_dies_begins_anew_and_its_segment_has_failed_meanwhile() {
    use SegmentState::{Done, Failed, Queued};
    let refused = RenderError::Transient("no process can be started".to_owned());
    let faults = [Fault::DiesAfter(1), Fault::Refused(refused.clone()), Fault::Refused(refused)];
    let studio = Harness::new(faults).await;
    studio.grows_to(seconds(30), 2);
    studio.states(&[Done, Done, Done]).await;
    assert_eq!(studio.renderer.followers.begun(), 4);
    studio.finalize().await;
    assert_eq!(studio.rendition().await.1, b"4 segments");
    studio.stop().await;

    let given_up = Harness::new([0, 1, 2, 1].map(Fault::DiesAfter)).await;
    given_up.grows_to(seconds(30), 2);
    until("four attempts", || given_up.renderer.followers.begun() == 4).await;
    let segments = given_up.states(&[Queued, Failed, Queued]).await;
    assert_eq!(segments[1].error.as_deref(), Some("killed by signal 9"));
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(given_up.renderer.followers.begun(), 4, "no more attempts");
    given_up.grows_to(seconds(40), 2);
    given_up.states(&[Queued, Failed, Queued, Queued]).await;
    given_up.finalize().await;
    assert!(given_up.rendition().await.1.starts_with(MP3.as_bytes()), "made of the whole");
    given_up.states(&[]).await;
    until("no segment is left", || given_up.files() == 0).await;
    given_up.stop().await;
}

#[tokio::test]
async fn a_track_that_joins_has_all_segments_made_anew() {
    let studio = Harness::new([]).await;
    studio.grows_to(seconds(30), 2);
    studio.states(&[SegmentState::Done; 3]).await;
    studio.grows_to(seconds(30), 3);
    until("another follower", || studio.renderer.followers.begun() == 2).await;
    studio.states(&[SegmentState::Done; 3]).await;
    let only = || (studio.renderer.followers.alive(), studio.files()) == (1, 3);
    until("only the new one is left", only).await;
    studio.stop().await;
}

#[tokio::test]
async fn what_can_not_be_followed_is_tried_again_when_a_track_joins() {
    let silent = RenderError::Permanent("the file has no track of audio".to_owned());
    let studio = Harness::new([Fault::Refused(silent)]).await;
    studio.grows_to(seconds(30), 1);
    until("a try", || studio.renderer.followers.begun() == 1).await;
    studio.grows_to(seconds(40), 1);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!((studio.renderer.followers.begun(), studio.segments().await), (1, Vec::new()));
    studio.grows_to(seconds(50), 2);
    studio.states(&[SegmentState::Done; 5]).await;
    studio.finalize().await;
    assert_eq!(studio.rendition().await.1, b"5 segments");
    studio.stop().await;
}

#[tokio::test]
async fn segments_that_are_not_ready_in_time_are_waited_for_no_longer() {
    let studio =
        Harness::with([Fault::HangsAtTheEnd], |segments| segments.wait = Duration::from_millis(300)).await;
    studio.grows_to(seconds(30), 2);
    studio.states(&[SegmentState::Done; 3]).await;
    studio.finalize().await;
    assert!(studio.rendition().await.1.starts_with(MP3.as_bytes()), "made of the whole");
    until("the follower ends", || studio.renderer.followers.alive() == 0).await;
    until("no segment is left", || studio.files() == 0).await;
    studio.stop().await;
}

#[tokio::test]
async fn a_render_that_is_cancelled_while_it_waits_for_segments_ends_at_once() {
    let studio = Harness::new([Fault::HangsAtTheEnd]).await;
    studio.grows_to(seconds(30), 2);
    studio.states(&[SegmentState::Done; 3]).await;
    let recording = studio.finalize().await;
    let render = loop {
        let jobs = studio.store.jobs_of(recording.id).await.unwrap();
        let render = jobs.iter().find(|job| job.kind == JobKind::Render && job.attempts > 0);
        if let Some(render) = render {
            break render.id;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    studio.store.cancel(&recording.tenant, render).await.unwrap();
    until("the follower ends", || studio.renderer.followers.alive() == 0).await;
    until("no segment is left", || studio.files() == 0).await;
    assert_eq!(studio.renderer.begun(), 0);
    studio.stop().await;
}

#[tokio::test]
async fn followers_end_with_the_node_and_there_are_no_more_than_allowed() {
    let studio = Harness::with([], |segments| segments.followers = 1).await;
    studio.grows_to(seconds(30), 2);
    let wav: Arc<str> = Arc::from(r#"{"kind":"wav"}"#);
    studio.live.0.lock().unwrap()[0].derived = Arc::from([Arc::from(MP3), wav]);
    studio.states(&[SegmentState::Done; 3]).await;
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(studio.renderer.followers.begun(), 1);
    let (renderer, shutdown) = (studio.renderer.clone(), studio.shutdown.clone());
    studio.stop().await;
    assert!(shutdown.is_cancelled());
    assert_eq!(renderer.followers.alive(), 0);
}

#[tokio::test]
async fn a_start_removes_what_an_earlier_run_left() {
    let mut studio = Harness::new([]).await;
    studio.shutdown.cancel();
    studio.workers.take().unwrap().stopped().await;
    let left = studio.config.segments.directory.join(RecordingId::new().to_string());
    fs::create_dir_all(left.join(Uuid::new_v4().to_string())).unwrap();
    studio.start();
    assert!(!left.exists());
    studio.stop().await;
}

#[tokio::test]
async fn what_nobody_joins_is_removed_when_it_is_old() {
    let studio = Harness::with([], |segments| {
        segments.keep = Duration::from_secs(24 * 3600);
        segments.clean_up_interval = Duration::from_millis(50);
    })
    .await;
    let old = RecordingId::new();
    let directory = studio.directory.path().join("segments").join(old.to_string());
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
    let recording = Recording { ended_at: Some(ended), ..sealed(&studio.config, b"old") };
    let row = FinalizedRecording { recording: recording.clone(), jobs: Vec::new(), renditions: Vec::new() };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(directory.exists());
    studio.grows_to(seconds(10), 2);
    studio.states(&[SegmentState::Done]).await;
    studio.store.finalize(&row).await.unwrap();
    let left = Segment { recording: recording.id, ..studio.segments().await[0].clone() };
    studio.store.note_segment(&left).await.unwrap();
    age(25);
    until("the old directory is gone", || !directory.exists()).await;
    loop {
        let rows = studio.store.segments_of(&recording.tenant, recording.id).await.unwrap();
        if rows.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((studio.segments().await.len(), studio.files()), (1, 1), "what goes on stays");
    studio.stop().await;
}

#[tokio::test]
async fn segments_of_a_deleted_recording_are_forgotten() {
    let refused = RenderError::Permanent("no track of audio".to_owned());
    let studio = Harness::new([Fault::DiesAfter(1), Fault::Refused(refused)]).await;
    studio.grows_to(seconds(30), 2);
    until("two attempts", || studio.renderer.followers.begun() == 2).await;
    let recording = studio.finalize().await;
    studio.rendition().await;
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
    studio.store.note_segment(&left).await.unwrap();
    studio.store.delete_recording(&recording.tenant, recording.id, "").await.unwrap();
    studio.states(&[]).await;
    let read = studio.store.recording(&recording.tenant, recording.id).await.unwrap();
    assert_eq!(read.state, RecordingState::Deleted);
    studio.stop().await;
}
