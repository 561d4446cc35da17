//! The child process that follows a recording: its results, its end, and its errors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    AT_ONCE, SIZE, TestDirectory, assert_at_once, call, eventually, frames,
    matroska::MatroskaFile,
    recording::{MP3, PROGRAM, TestRecording, follow, long_call, parts},
    script, workers_on,
};
use testkit::signal::Codec;
use transcode::{Followed, Follower, Limits, TranscodeError, Worker};

#[tokio::test]
async fn futures_that_are_dropped_early_lose_nothing() {
    let directory = TestDirectory::new();
    let mut recording = TestRecording::new(&directory, long_call(2).bytes(), MP3, 1.0);
    let whole = recording.bytes.len();
    recording.file.write_all(&recording.bytes).unwrap();
    let (mut reported, mut received) = (0, vec![]);
    let produced = loop {
        let follower = &mut recording.follower;
        reported = (reported + 30_000).min(whole);
        // Futures that are dropped before they finish, most of them at once.
        let patience = Duration::from_micros(received.len() as u64 * 300);
        let _ = tokio::time::timeout(patience, follower.grown(reported as u64)).await;
        if reported == whole {
            let _ = tokio::time::timeout(patience, follower.end(reported as u64, &directory.path("joined")))
                .await;
        }
        match tokio::time::timeout(patience, follower.next()).await {
            Ok(Ok(Followed::Segment(segment))) => received.push(segment.number),
            Ok(Ok(Followed::Produced(produced))) => break produced,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(received, (0..12).collect::<Vec<u32>>());
    assert!((produced.duration.as_secs_f64() - 12.0).abs() < 0.05, "{produced:?}");
}

#[tokio::test]
async fn dropping_the_follower_kills_the_child_within_200_ms_and_leaves_no_incomplete_file() {
    let bytes = long_call(2).bytes();
    let half = bytes.len() / 2;
    let mut took = Vec::new();
    while took.len() < 10 && took.iter().all(|took| *took >= AT_ONCE) {
        let directory = TestDirectory::new();
        let mut recording = TestRecording::new(&directory, bytes.clone(), MP3, 1.0);
        recording.write_until(half).await;
        recording.next_segment().await;
        eventually("the next is being written", || !parts(&directory).is_empty()).await;
        let input = directory.path("live.webm");
        assert!(workers_on(&input) > 0);
        let dropped = Instant::now();
        drop(recording);
        // A child of another test has the same files for a moment while it is started.
        eventually("the child has ended", || workers_on(&input) == 0).await;
        took.push(dropped.elapsed());
        assert_eq!(parts(&directory), Vec::<PathBuf>::new());
    }
    assert_at_once(&took);
}

#[tokio::test]
async fn a_child_ends_with_its_server() {
    let directory = TestDirectory::new();
    let input = directory.path("live.webm");
    let bytes = long_call(1).bytes();
    std::fs::write(&input, &bytes).unwrap();
    std::fs::create_dir(directory.path("segments")).unwrap();
    let mut child = Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let task = serde_json::json!({"follow": follow(&directory, MP3, 1.0), "limits": Limits::default()});
    let mut server_end = child.stdin.take().unwrap();
    writeln!(server_end, "{task}\n{{\"until\":{}}}", bytes.len() / 2).unwrap();
    eventually("the child writes", || !parts(&directory).is_empty()).await;
    // When a server is killed, the system closes its files.
    drop(server_end);
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!(parts(&directory), Vec::<PathBuf>::new());
}

/// A follower whose child is a shell script.
fn follow_script(directory: &TestDirectory, text: &str, limits: Limits) -> Follower {
    std::fs::write(directory.path("live.webm"), [0]).unwrap();
    let worker = Worker { program: script(directory, text), limits };
    worker.follow(&follow(directory, MP3, 1.0)).unwrap()
}

#[tokio::test]
async fn a_child_that_is_killed_or_violates_the_protocol_is_an_error() {
    let directory = TestDirectory::new();
    for (text, killed) in [
        ("echo ouch >&2; kill -KILL $$", true),
        ("read task; read message; echo ouch >&2; kill -KILL $$", true),
        ("echo hello; sleep 100", false),
        ("exit 3", false),
    ] {
        let mut follower = follow_script(&directory, text, Limits::default());
        let _ = follower.grown(1).await;
        let error = follower.next().await.unwrap_err();
        if killed {
            assert_eq!(error, TranscodeError::Killed { signal: 9, detail: "ouch".to_owned() }, "{text}");
        } else {
            assert!(matches!(error, TranscodeError::Worker { .. }), "{text}: {error:?}");
        }
        assert!(matches!(follower.next().await, Err(TranscodeError::Worker { .. })));
        assert!(follower.grown(2).await.is_err());
    }
}

#[tokio::test]
async fn the_wall_time_counts_from_the_end_of_the_recording() {
    let directory = TestDirectory::new();
    let limits = Limits { wall: Some(Duration::from_secs(1)), ..Limits::default() };
    let mut follower = follow_script(&directory, "exec sleep 100", limits);
    assert!(tokio::time::timeout(Duration::from_millis(1_500), follower.next()).await.is_err());
    let ended = Instant::now();
    follower.end(1, &directory.path("joined")).await.unwrap();
    assert_eq!(follower.next().await.unwrap_err(), TranscodeError::TimedOut { seconds: 1 });
    assert!(ended.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_short_file_and_missing_segments_are_errors_of_the_disk() {
    let directory = TestDirectory::new();
    let mut recording = TestRecording::new(&directory, call().bytes(), MP3, 1.0);
    recording.write_until(100_000).await;
    recording.written += 50_000;
    let error = recording.finish_here().await.unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error}");
    let directory = TestDirectory::new();
    let bytes = long_call(2).bytes();
    let most = bytes.len() * 3 / 4;
    let mut recording = TestRecording::new(&directory, bytes, MP3, 1.0);
    recording.write_until(most).await;
    let first = recording.next_segment().await;
    std::fs::remove_file(first.path).unwrap();
    let error = recording.finish().await.unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error}");
    assert!(!directory.path("joined").exists() && parts(&directory).is_empty());
}

#[tokio::test]
async fn recordings_without_audio_and_renditions_with_video_cannot_be_followed() {
    let directory = TestDirectory::new();
    for (json, interval, option) in
        [(r#"{"kind": "mp4"}"#, 10.0, "kind"), (MP3, 0.5, "interval"), (MP3, 3_601.0, "interval")]
    {
        match Worker::new(PROGRAM).follow(&follow(&directory, json, interval)).unwrap_err() {
            TranscodeError::BadOption(bad) => assert_eq!(bad.option, option),
            error => panic!("{error}"),
        }
    }
    let error = Worker::new(PROGRAM).follow(&follow(&directory, MP3, 1.0)).unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }), "{error}");
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE)[..30], 0);
    let mut recording = TestRecording::new(&directory, film.bytes(), MP3, 1.0);
    let error = recording.finish().await.unwrap_err();
    assert!(matches!(error, TranscodeError::NoSuchTrack { .. }), "{error}");
    let mut film = MatroskaFile::default();
    film.add_opus();
    let mut recording = TestRecording::new(&directory, film.bytes(), MP3, 1.0);
    let error = recording.finish().await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
}
