//! The child process: limits, cancellation, and children that fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    AT_ONCE, SIZE, TestDirectory, assert_at_once, call, damaged, eventually, frames, matroska::MatroskaFile,
    script, workers_on,
};
use testkit::signal::Codec;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transcode::{Limits, Plan, Produced, Progress, TranscodeError, Worker};

const PROGRAM: &str = env!("CARGO_BIN_EXE_transcode-worker");
const MP4: &str = r#"{"kind": "mp4"}"#;
/// Takes far longer than any test waits.
const SLOW: &str = r#"{"kind": "mp4", "video": {"preset": "slower", "width": 1920}}"#;

async fn run(worker: &Worker, plan: &Plan) -> Result<Produced, TranscodeError> {
    worker.run(plan, &CancellationToken::new(), watch::channel(Progress::default()).0).await
}

/// A minute of the call.
fn long() -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let (video, audio) = (film.add_video("V_VP8", SIZE, 0.0), film.add_opus());
    for turn in 0..10 {
        film.add_frames(video, &frames(Codec::Vp8, SIZE), turn * 6_000);
        film.add_frames(audio, &frames(Codec::Opus, SIZE), turn * 6_000);
    }
    film
}

#[tokio::test]
async fn a_child_renders_and_reports_progress() {
    let directory = TestDirectory::new();
    let input = directory.write("long.webm", &long());
    let (sender, mut progress) = watch::channel(Progress::default());
    let plan = directory.plan(&input, r#"{"kind": "mp4", "video": {"preset": "ultrafast"}}"#);
    let seen = tokio::spawn(async move {
        let mut seen = vec![];
        while progress.changed().await.is_ok() {
            seen.push(*progress.borrow());
        }
        seen
    });
    let produced = Worker::new(PROGRAM).run(&plan, &CancellationToken::new(), sender).await.unwrap();
    assert_eq!(std::fs::metadata(&plan.output).unwrap().len(), produced.bytes);
    assert!((produced.duration.as_secs_f64() - 60.0).abs() < 0.05, "{produced:?}");
    let seen = seen.await.unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].fraction <= pair[1].fraction));
    assert!(seen.len() > 2 && seen.last().unwrap().fraction == 1.0, "{seen:?}");
    let middle = seen[seen.len() / 2];
    assert!(middle.speed > 0.1 && middle.remaining.is_some(), "{middle:?}");
}

#[tokio::test]
async fn cancelling_kills_the_child_within_200_ms_and_leaves_no_file() {
    let directory = TestDirectory::new();
    let input = directory.write("long.webm", &long());
    let plan = directory.plan(&input, SLOW);
    let part = directory.path("mp4.mp4.part");
    let mut took = Vec::new();
    while took.len() < 3 || took.len() < 10 && took.iter().all(|took| *took >= AT_ONCE) {
        let cancel = CancellationToken::new();
        let token = cancel.clone();
        let running = tokio::spawn({
            let plan = plan.clone();
            async move {
                let outcome = run_with(&plan, &token).await;
                (outcome, Instant::now())
            }
        });
        eventually("the child writes", || part.exists()).await;
        let cancelled = Instant::now();
        cancel.cancel();
        let (outcome, ended) = running.await.unwrap();
        assert_eq!(outcome.unwrap_err(), TranscodeError::Cancelled);
        took.push(ended - cancelled);
        assert!(directory.leftovers(&input).is_empty());
        assert_eq!(workers_on(&input), 0);
    }
    assert_at_once(&took);
}

async fn run_with(plan: &Plan, cancel: &CancellationToken) -> Result<Produced, TranscodeError> {
    Worker::new(PROGRAM).run(plan, cancel, watch::channel(Progress::default()).0).await
}

#[tokio::test]
async fn dropping_the_future_ends_the_child() {
    let directory = TestDirectory::new();
    let input = directory.write("long.webm", &long());
    let plan = directory.plan(&input, SLOW);
    let part = directory.path("mp4.mp4.part");
    let running = tokio::spawn(async move { run(&Worker::new(PROGRAM), &plan).await });
    eventually("the child writes", || part.exists()).await;
    running.abort();
    let _ = running.await;
    eventually("the child has ended", || workers_on(&input) == 0 && directory.leftovers(&input).is_empty())
        .await;
}

#[tokio::test]
async fn a_child_ends_with_its_server() {
    let directory = TestDirectory::new();
    let input = directory.write("long.webm", &long());
    let plan = directory.plan(&input, SLOW);
    let part = directory.path("mp4.mp4.part");
    let mut child = Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let task = serde_json::json!({"plan": plan, "limits": Limits::default()});
    let mut server_end = child.stdin.take().unwrap();
    writeln!(server_end, "{task}").unwrap();
    eventually("the child writes", || part.exists()).await;
    // When a server is killed, the system closes its files.
    drop(server_end);
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert!(directory.leftovers(&input).is_empty());
}

#[tokio::test]
async fn a_killed_or_crashed_child_is_a_transient_error() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let plan = directory.plan(&input, MP4);
    for (signal, number) in [("SEGV", 11), ("KILL", 9), ("ABRT", 6)] {
        let program = script(
            &directory,
            &format!("touch {}.part; echo ouch >&2; kill -{signal} $$", plan.output.display()),
        );
        let error = run(&Worker::new(&program), &plan).await.unwrap_err();
        assert_eq!(error, TranscodeError::Killed { signal: number, detail: "ouch".to_owned() });
        assert!(!error.is_permanent());
        std::fs::remove_file(program).unwrap();
        assert!(directory.leftovers(&input).is_empty());
    }
}

#[tokio::test]
async fn a_child_that_violates_the_protocol_is_an_error() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let plan = directory.plan(&input, MP4);
    for text in [
        "echo hello",
        "echo '{\"progress\": {}}'; sleep 100",
        "yes | tr -d '\\n' | head -c 10000000; sleep 100",
        "head -c 1000000 /dev/urandom",
        "exit 3",
        "exec >&-; sleep 100",
    ] {
        let program = script(&directory, text);
        let started = Instant::now();
        let error = run(&Worker::new(&program), &plan).await.unwrap_err();
        assert!(
            matches!(error, TranscodeError::Worker { .. } | TranscodeError::Killed { .. }),
            "{text}: {error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(60), "{text}");
        std::fs::remove_file(program).unwrap();
    }
    let error = run(&Worker::new("/nowhere/at-all"), &plan).await.unwrap_err();
    assert!(matches!(error, TranscodeError::Worker { .. }) && !error.is_permanent(), "{error:?}");
}

#[tokio::test]
async fn a_child_that_hangs_is_killed_after_the_wall_time() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let plan = directory.plan(&input, MP4);
    let limits = Limits { wall: Some(Duration::from_secs(1)), ..Limits::default() };
    let program = script(&directory, "exec sleep 100");
    let started = Instant::now();
    let error = run(&Worker { program, limits }, &plan).await.unwrap_err();
    assert_eq!(error, TranscodeError::TimedOut { seconds: 1 });
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn memory_and_cpu_time_are_limited() {
    let directory = TestDirectory::new();
    let input = directory.write("long.webm", &long());
    let plan = directory.plan(&input, r#"{"kind": "mp4", "video": {"width": 3840, "preset": "slower"}}"#);
    let limits = Limits { memory_bytes: Some(300 << 20), ..Limits::default() };
    let error = run(&Worker { program: PROGRAM.into(), limits }, &plan).await.unwrap_err();
    assert!(!error.is_permanent(), "{error:?}");
    assert!(!matches!(error, TranscodeError::TimedOut { .. }), "{error:?}");
    let limits = Limits { cpu: Some(Duration::from_secs(1)), ..Limits::default() };
    let error = run(&Worker { program: PROGRAM.into(), limits }, &plan).await.unwrap_err();
    assert!(matches!(error, TranscodeError::Killed { signal: 9 | 24, .. }), "{error:?}");
    assert!(directory.leftovers(&input).is_empty());
}

#[tokio::test]
async fn errors_of_the_child_are_returned_unchanged() {
    let directory = TestDirectory::new();
    let input = directory.path("noise.webm");
    std::fs::write(&input, [7; 1_000]).unwrap();
    let error = run(&Worker::new(PROGRAM), &directory.plan(&input, MP4)).await.unwrap_err();
    assert!(matches!(error, TranscodeError::Unreadable { .. }) && error.is_permanent(), "{error:?}");
    let bad = r#"{"kind": "mp4", "video": {"width": 3}}"#;
    let error = run(&Worker::new(PROGRAM), &directory.plan(&input, bad)).await.unwrap_err();
    assert!(matches!(error, TranscodeError::BadOption(_)) && error.is_permanent(), "{error:?}");
    assert!(directory.leftovers(&input).is_empty());
}

#[test]
fn a_worker_writes_only_reports() {
    let directory = TestDirectory::new();
    let input = directory.write("cut.webm", &call());
    let whole = std::fs::read(&input).unwrap();
    std::fs::write(&input, &whole[..whole.len() / 3]).unwrap();
    let plan =
        directory.plan(&input, r#"{"kind": "webm", "codec": "av1", "video": {"preset": "ultrafast"}}"#);
    let mut child = Command::new(PROGRAM)
        .env("SVT_LOG", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server_end = child.stdin.take().unwrap();
    writeln!(server_end, "{}", serde_json::json!({"plan": plan, "limits": Limits::default()})).unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stderr, "");
    assert!(stdout.lines().last().unwrap().starts_with(r#"{"produced":"#), "{stdout}");
}

/// Two hundred inputs, each damaged in a few places.
#[tokio::test]
async fn damaged_inputs_never_hang_and_leave_no_incomplete_file() {
    let directory = TestDirectory::new();
    let mut film = call();
    film.blocks.retain(|block| block.0 < 2_000);
    let whole = film.bytes();
    let kinds = [
        r#"{"kind": "mp4", "video": {"preset": "ultrafast", "width": 160}}"#,
        r#"{"kind": "webm", "video": {"preset": "ultrafast", "width": 160}}"#,
        r#"{"kind": "mp3"}"#,
        r#"{"kind": "ogg_opus"}"#,
        r#"{"kind": "thumbnail"}"#,
        r#"{"kind": "contact_sheet"}"#,
        r#"{"kind": "waveform"}"#,
        r#"{"kind": "mosaic", "width": 160, "height": 90, "video": {"preset": "ultrafast"}}"#,
    ];
    let limits = Limits { wall: Some(Duration::from_secs(60)), ..Limits::default() };
    let worker = Worker { program: PROGRAM.into(), limits };
    let (mut made, mut refused) = (0, 0);
    for seed in 0..200 {
        let input = directory.path("damaged.webm");
        std::fs::write(&input, damaged(&whole, seed)).unwrap();
        let plan = directory.plan(&input, kinds[seed as usize % kinds.len()]);
        match run(&worker, &plan).await {
            Ok(_) => {
                made += 1;
                std::fs::remove_file(&plan.output).unwrap();
            }
            Err(error) => {
                refused += 1;
                assert!(!matches!(error, TranscodeError::Worker { .. }), "seed {seed}: {error}");
                println!("seed {seed}: {error}");
            }
        }
        assert!(directory.leftovers(&input).is_empty(), "seed {seed}");
    }
    // Most of the damage is to frames, and a recording must survive that.
    assert!(made > 100, "{made} made, {refused} refused");
}
