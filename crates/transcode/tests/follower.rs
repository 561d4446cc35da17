//! The child process that follows a recording: how it is listened to, how it ends, and what it refuses.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    AT_ONCE, Bench, SIZE, assert_at_once, call, eventually, frames,
    matroska::Film,
    recording::{MP3, PROGRAM, Recording, long_call, order, parts},
    script, workers_on,
};
use testkit::signal::Codec;
use transcode::{Followed, Follower, Limits, TranscodeError, Worker};

#[tokio::test]
async fn who_listens_in_passing_misses_nothing() {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, long_call(2).bytes(), MP3, 1.0);
    let whole = recording.bytes.len();
    recording.file.write_all(&recording.bytes).unwrap();
    let (mut told, mut heard) = (0, vec![]);
    let produced = loop {
        let follower = &mut recording.follower;
        told = (told + 30_000).min(whole);
        // Futures that are dropped before they are done, most of them at once.
        let patience = Duration::from_micros(heard.len() as u64 * 300);
        let _ = tokio::time::timeout(patience, follower.grown(told as u64)).await;
        if told == whole {
            let _ = tokio::time::timeout(patience, follower.end(told as u64, &bench.path("joined"))).await;
        }
        match tokio::time::timeout(patience, follower.next()).await {
            Ok(Ok(Followed::Segment(segment))) => heard.push(segment.number),
            Ok(Ok(Followed::Produced(produced))) => break produced,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(heard, (0..12).collect::<Vec<u32>>());
    assert!((produced.duration.as_secs_f64() - 12.0).abs() < 0.05, "{produced:?}");
}

#[tokio::test]
async fn dropping_the_follower_kills_the_child_within_200_ms_and_leaves_nothing_half_written() {
    let bytes = long_call(2).bytes();
    let half = bytes.len() / 2;
    let mut took = Vec::new();
    while took.len() < 10 && took.iter().all(|took| *took >= AT_ONCE) {
        let bench = Bench::new();
        let mut recording = Recording::new(&bench, bytes.clone(), MP3, 1.0);
        recording.write_until(half).await;
        recording.next_segment().await;
        eventually("the next is being written", || !parts(&bench).is_empty()).await;
        let input = bench.path("live.webm");
        assert!(workers_on(&input) > 0);
        let dropped = Instant::now();
        drop(recording);
        // A child of another test that is being born has the same files for a moment.
        eventually("it is gone", || workers_on(&input) == 0).await;
        took.push(dropped.elapsed());
        assert_eq!(parts(&bench), Vec::<PathBuf>::new());
    }
    assert_at_once(&took);
}

#[tokio::test]
async fn a_child_doesnt_outlive_its_server() {
    let bench = Bench::new();
    let input = bench.path("live.webm");
    let bytes = long_call(1).bytes();
    std::fs::write(&input, &bytes).unwrap();
    std::fs::create_dir(bench.path("segments")).unwrap();
    let mut child = Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let task = serde_json::json!({"follow": order(&bench, MP3, 1.0), "limits": Limits::default()});
    let mut server_end = child.stdin.take().unwrap();
    writeln!(server_end, "{task}\n{{\"until\":{}}}", bytes.len() / 2).unwrap();
    eventually("it writes", || !parts(&bench).is_empty()).await;
    // As when the server is killed: the system closes what it had open.
    drop(server_end);
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!(parts(&bench), Vec::<PathBuf>::new());
}

/// A follower whose child is a shell script.
fn follow_script(bench: &Bench, text: &str, limits: Limits) -> Follower {
    std::fs::write(bench.path("live.webm"), [0]).unwrap();
    let worker = Worker { program: script(bench, text), limits };
    worker.follow(&order(bench, MP3, 1.0)).unwrap()
}

#[tokio::test]
async fn a_child_that_is_killed_or_talks_nonsense_is_an_error() {
    let bench = Bench::new();
    for (text, killed) in [
        ("echo ouch >&2; kill -KILL $$", true),
        ("read task; read word; echo ouch >&2; kill -KILL $$", true),
        ("echo hello; sleep 100", false),
        ("exit 3", false),
    ] {
        let mut follower = follow_script(&bench, text, Limits::default());
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
async fn waiting_has_no_limit_but_the_end_has() {
    let bench = Bench::new();
    let limits = Limits { wall: Some(Duration::from_secs(1)), ..Limits::default() };
    let mut follower = follow_script(&bench, "exec sleep 100", limits);
    assert!(tokio::time::timeout(Duration::from_millis(1_500), follower.next()).await.is_err());
    let ended = Instant::now();
    follower.end(1, &bench.path("joined")).await.unwrap();
    assert_eq!(follower.next().await.unwrap_err(), TranscodeError::TimedOut { seconds: 1 });
    assert!(ended.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_file_shorter_than_told_and_segments_that_are_gone_are_faults_of_the_disk() {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, call().bytes(), MP3, 1.0);
    recording.write_until(100_000).await;
    recording.written += 50_000;
    let error = recording.seal_here().await.unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error}");
    let bench = Bench::new();
    let bytes = long_call(2).bytes();
    let most = bytes.len() * 3 / 4;
    let mut recording = Recording::new(&bench, bytes, MP3, 1.0);
    recording.write_until(most).await;
    let first = recording.next_segment().await;
    std::fs::remove_file(first.path).unwrap();
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error}");
    assert!(!bench.path("joined").exists() && parts(&bench).is_empty());
}

#[tokio::test]
async fn what_has_no_sound_or_isnt_sound_cant_be_followed() {
    let bench = Bench::new();
    for (json, interval, option) in
        [(r#"{"kind": "mp4"}"#, 10.0, "kind"), (MP3, 0.5, "interval"), (MP3, 3_601.0, "interval")]
    {
        match Worker::new(PROGRAM).follow(&order(&bench, json, interval)).unwrap_err() {
            TranscodeError::BadOption(bad) => assert_eq!(bad.option, option),
            error => panic!("{error}"),
        }
    }
    let error = Worker::new(PROGRAM).follow(&order(&bench, MP3, 1.0)).unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }), "{error}");
    let mut film = Film::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.play(video, &frames(Codec::Vp8, SIZE)[..30], 0);
    let mut recording = Recording::new(&bench, film.bytes(), MP3, 1.0);
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::NoSuchTrack { .. }), "{error}");
    let mut film = Film::default();
    film.add_opus();
    let mut recording = Recording::new(&bench, film.bytes(), MP3, 1.0);
    let error = recording.seal().await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
}
