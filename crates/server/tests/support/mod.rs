//! Shared by the end-to-end tests: the recorder under test, tracks to send, and checks of a recorded file.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod backend;

pub use backend::TestBackend;

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use testkit::{
    recorder::{Recorder, RecorderConfig},
    sender::{Driver, SenderConfig, Session, Track},
    signal::{Clip, ClipSpec, Codec, clip},
    verify::{
        Counters, Picture, Probe, av_offsets_ms, decode_strictly, pictures, probe, seek_everywhere, sound,
    },
};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Time-out of an upload after the stop.
pub const UPLOAD: Duration = Duration::from_secs(60);

/// Frames of a small clip. Its frame counter wraps after them.
pub const CLIP_FRAMES: u16 = 360;

/// Unwraps a result, or fails the test with the error's Display text.
#[expect(clippy::panic, reason = "a test that can't go on has failed")]
pub fn ok<T, E: Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// The binary built with this test, or the one in `RECORDER_BINARY`, such as a release build or an installed package.
pub fn config() -> RecorderConfig {
    let built = || env!("CARGO_BIN_EXE_webrtc-recorder").into();
    RecorderConfig::new(std::env::var_os("RECORDER_BINARY").unwrap_or_else(built)).env("LOG_LVL", "info")
}

pub async fn start(config: RecorderConfig) -> Recorder {
    ok(config.start().await, "the recorder starts")
}

pub fn driver() -> Driver {
    ok(Driver::start(), "the senders' thread starts")
}

pub fn coded(spec: ClipSpec) -> Arc<Clip> {
    ok(clip(spec), "the test signal")
}

pub fn video(codec: Codec) -> Track {
    Track::of(coded(ClipSpec::small(codec)))
}

pub fn beep() -> Track {
    Track::of(coded(ClipSpec::beep()))
}

pub async fn sender(driver: &Driver, config: SenderConfig) -> Session {
    ok(driver.add(config, LOOPBACK).await, "the sender starts")
}

/// Waits until a sender is connected.
pub async fn connected(session: &Session) {
    let up = wait_for(Duration::from_secs(60), async || session.stats().await.connected).await;
    assert!(up, "the sender didn't connect: {:?}", session.stats().await);
}

/// Waits until the first stream of a sender has sent `frames` frames, and 500 ms more for resends.
pub async fn played(session: &Session, frames: u64) {
    sent(session, frames).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Waits until the first stream of a sender has sent `frames` frames.
pub async fn sent(session: &Session, frames: u64) {
    connected(session).await;
    let patience = Duration::from_millis(frames * 40) + Duration::from_secs(60);
    let sent = wait_for(patience, async || session.stats().await.frames.first() >= Some(&frames)).await;
    assert!(sent, "the sender hasn't played: {:?}", session.stats().await);
}

pub async fn wait_for(patience: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !condition().await {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// The entries of a directory. Empty if it does not exist.
pub fn files_in(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Waits for the object of a recording.
pub async fn object(recorder: &Recorder, id: &str) -> std::path::PathBuf {
    let object = recorder.object_of(id, UPLOAD).await;
    object.ok_or_else(|| format!("no object of {id} among {:?}", recorder.objects())).map_or_else(
        |missing| ok::<std::path::PathBuf, String>(Err(missing), "the upload"),
        std::convert::identity,
    )
}

/// Checks a finished file: the extension fits the container, it begins at time 0, has the right duration, decodes without
/// errors, and its cues point to keyframes.
pub fn check_file(file: &Path, video: &[&str], audio: &[&str], seconds: f64) -> Probe {
    let probed = ok(probe(file), "the file's headers");
    assert_eq!(sorted(probed.codecs("video")), sorted(video.to_vec()), "{}", file.display());
    assert_eq!(sorted(probed.codecs("audio")), sorted(audio.to_vec()), "{}", file.display());
    let extension = file.extension().unwrap_or_default();
    assert_eq!(extension == "webm", probed.is_webm(), "{} holds {:?}", file.display(), probed.streams);
    let duration = probed.duration().unwrap_or_default();
    assert!((duration - seconds).abs() <= 0.1, "{duration} s recorded of {seconds} s sent");
    // Opus begins its look-ahead before 0 (CodecDelay), which players cut off.
    let start = probed.start().unwrap_or(f64::MAX);
    assert!((-0.0071..=0.001).contains(&start), "the file begins at {start}");
    ok(decode_strictly(file), "strict decoding");
    ok(seek_everywhere(file, 20, 1), "seeking");
    probed
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

/// Decodes a video track and reads the frame counters in its pictures.
pub fn counted(file: &Path, nth: usize, clip_frames: u16) -> (Vec<Picture>, Counters) {
    let pictures = ok(pictures(file, nth), "decoding pictures");
    let counters = Counters::of(&pictures, clip_frames);
    (pictures, counters)
}

/// Checks that the beep of every second is within `tolerance_ms` of its flash.
pub fn assert_in_sync(file: &Path, pictures: &[Picture], tolerance_ms: f64, seconds: usize) {
    let offsets = av_offsets_ms(pictures, &ok(sound(file, 0), "decoding sound"));
    assert!(offsets.len() >= seconds, "flashes and beeps: {offsets:?}");
    assert!(
        offsets.values().all(|offset| offset.abs() <= tolerance_ms),
        "ms from flash to beep: {offsets:?}"
    );
}
