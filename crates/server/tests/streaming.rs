//! Live uploads of the binary to S3 with Postgres, also across SIGKILL and lost nodes.

mod support;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use blob::{BlobError, BlobStore as _};
use proto::recorder::v1::{
    EndReason, GetRecordingRequest, GetRecordingResponse, Recording, RecordingState, RenditionState,
    WatchRecordingRequest, WatchRecordingResponse, recording_service_client::RecordingServiceClient,
    watch_recording_response::Event,
};
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use support::{TestBackend, beep, coded, connected, driver, ok, sender, wait_for};
use testkit::{
    call::Call,
    recorder::{Recorder, RecorderConfig},
    sender::{Driver, SenderConfig, Session, Track},
    signal::{Clip, ClipSpec, Codec, Frame},
    verify::decode_strictly,
};
use tonic::Streaming;

/// Padding after each picture, which a VP8 decoder ignores. At 30 pictures per second it fills a part in 5 s.
const PADDING: usize = 40_000;

/// Video with so many bytes that it soon fills a part.
fn heavy() -> Track {
    let clip = coded(ClipSpec::small(Codec::Vp8));
    let mut noise = vec![0; PADDING];
    StdRng::seed_from_u64(1).fill_bytes(&mut noise);
    let pad = |frame: &Frame| Frame { data: [&frame.data, &noise[..]].concat().into(), ..frame.clone() };
    Track::of(Arc::new(Clip { frames: clip.frames.iter().map(pad).collect(), ..Clip::clone(&clip) }))
}

/// Small parts and short retries.
fn config(backend: &TestBackend) -> RecorderConfig {
    backend
        .config()
        .env("RECORDER__BLOB__S3__PART_BYTES", "5MiB")
        .env("RECORDER__SPOOL__SYNC_INTERVAL", "300ms")
        .env("RECORDER__JOBS__FIRST_BACKOFF", "100ms")
        .env("RECORDER__JOBS__LEASE", "3s")
        .env("RECORDER__JOBS__POLL", "500ms")
}

async fn begin(recorder: &Recorder, driver: &Driver) -> (Session, Call) {
    let session = sender(driver, SenderConfig::playing([heavy(), beep()])).await;
    let call = ok(Call::begin(&mut recorder.client(), &session, "streamed").await, "the offer");
    connected(&session).await;
    (session, call)
}

async fn answer_of(recorder: &Recorder, id: &str) -> Option<GetRecordingResponse> {
    let get = GetRecordingRequest { id: id.to_owned() };
    let answer = RecordingServiceClient::new(recorder.channel()).get_recording(get).await;
    answer.ok().map(tonic::Response::into_inner)
}

async fn row_of(recorder: &Recorder, id: &str) -> Option<Recording> {
    answer_of(recorder, id).await?.recording
}

/// Waits until the thumbnail and audio longer than `longer_than` are available. Returns the audio's duration.
async fn rendered(recorder: &Recorder, id: &str, longer_than: Duration) -> Duration {
    let mut lasts = Duration::ZERO;
    let made = wait_for(Duration::from_secs(90), async || {
        let answer = answer_of(recorder, id).await.unwrap_or_default();
        let available = |kind: &str| {
            let mut of_kind = answer.renditions.iter().filter(|one| one.kind == kind);
            of_kind.next().filter(|one| one.state() == RenditionState::Available && of_kind.next().is_none())
        };
        let sound = available("mp3").and_then(|one| Duration::try_from(one.duration?).ok());
        lasts = sound.unwrap_or_default();
        available("thumbnail").is_some() && lasts > longer_than
    });
    assert!(made.await, "{:?}", answer_of(recorder, id).await);
    lasts
}

async fn until_available(recorder: &Recorder, id: &str) -> Recording {
    let mut last = None;
    let available = wait_for(Duration::from_secs(120), async || {
        last = row_of(recorder, id).await;
        last.as_ref().is_some_and(|row| row.state() == RecordingState::Available)
    });
    assert!(available.await, "{last:?}");
    last.unwrap_or_default()
}

/// Waits until the local copy is removed, which is when the SHA-256 is known.
async fn until_tidy(recorder: &Recorder, id: &str) -> Recording {
    let directory = recorder.data_dir().join("spool").join(id);
    let tidy = wait_for(Duration::from_secs(60), async || !directory.exists()).await;
    assert!(tidy, "the local copy stays");
    row_of(recorder, id).await.unwrap_or_default()
}

/// Checks that the recording is complete in the bucket under one key, and that no other file or upload remains.
async fn check(backend: &TestBackend, recorder: &Recorder, id: &str) -> PathBuf {
    until_available(recorder, id).await;
    let row = until_tidy(recorder, id).await;
    assert_eq!(row.error, "");
    let file = backend.object(recorder, id).await;
    let digest =
        ok(blob::file_digest(&file, &tokio_util::sync::CancellationToken::new()).await, "the object");
    assert_eq!((digest.bytes as i64, &digest.sha256), (row.bytes, &row.sha256));
    ok(decode_strictly(&file), "strict decoding");
    let other = row.object_key.replace(".webm", ".mkv");
    if let Some(bucket) = backend.bucket() {
        let second = bucket.head(&other).await;
        assert!(matches!(second, Err(BlobError::NotFound(_))), "{second:?}");
    }
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_uploaded_while_open_and_available_right_after_its_end() {
    let backend = TestBackend::production().await;
    let recorder = ok(config(&backend).start().await, "the recorder starts");
    let driver = driver();
    let (session, call) = begin(&recorder, &driver).await;
    let streaming = wait_for(Duration::from_secs(60), async || backend.uploads().await == 1).await;
    assert!(streaming, "nothing was sent before the stop: {:?}", session.stats().await);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let stopped = Instant::now();
    ok(call.stop(&mut recorder.client()).await, "the stop");
    until_available(&recorder, &call.id).await;
    let took = stopped.elapsed();
    // A bound for a busy machine; a benchmark measures the exact time.
    assert!(took < Duration::from_secs(30), "available {took:?} after the stop");
    check(&backend, &recorder, &call.id).await;
    assert_eq!(backend.uploads().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_lags_behind_and_does_not_affect_the_recording() {
    // The video has more than twice as many bytes per second.
    const BYTES_PER_SECOND: f64 = 512.0 * 1024.0;
    let backend = TestBackend::production().await;
    let limited = config(&backend).env("RECORDER__BLOB__S3__BYTES_PER_SECOND", "512KiB");
    let recorder = ok(limited.start().await, "the recorder starts");
    let driver = driver();
    let (session, call) = begin(&recorder, &driver).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let sent = session.stats().await;
    ok(call.stop(&mut recorder.client()).await, "the stop");
    let row = row_of(&recorder, &call.id).await.unwrap_or_default();
    assert_eq!(row.state(), RecordingState::Processing, "the stop has waited for the upload");
    until_available(&recorder, &call.id).await;
    // The upload takes longer than the recording took.
    let (took, least) = (begun.elapsed().as_secs_f64(), row.bytes as f64 / BYTES_PER_SECOND);
    assert!(least > 20.0, "{row:?}");
    assert!(took > 0.9 * least, "{} bytes went up within {took} s", row.bytes);
    let file = check(&backend, &recorder, &call.id).await;
    let pictures =
        ok(testkit::verify::packets(&file), "packets").iter().filter(|packet| packet.size > PADDING).count();
    assert!(pictures as u64 + 15 >= sent.frames[0], "{pictures} of {} pictures", sent.frames[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_while_uploading_every_recording_becomes_available() {
    // The environment can request more kills than a normal run has time for.
    let rounds = std::env::var("RECORDER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    let seed = 7;
    let (backend, mut dice) = (TestBackend::production().await, StdRng::seed_from_u64(seed));
    let mut recorder = ok(config(&backend).start().await, "the recorder starts");
    for round in 0..rounds {
        let driver = driver();
        let calls = [begin(&recorder, &driver).await, begin(&recorder, &driver).await];
        tokio::time::sleep(Duration::from_millis(dice.random_range(9_000..15_000))).await;
        if round % 2 == 0 {
            // A moment between the first byte of the last part and the clean-up.
            for (_, call) in &calls {
                ok(call.stop(&mut recorder.client()).await, "the stop");
            }
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..500))).await;
        }
        recorder.kill9();
        ok(recorder.restart().await, "the restart");
        for (_, call) in &calls {
            check(&backend, &recorder, &call.id).await;
        }
        assert!(wait_for(Duration::from_secs(60), async || backend.uploads().await == 0).await, "orphans");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_nodes_uploaded_part_is_available_and_all_of_it_after_its_return() {
    let backend = TestBackend::production().await;
    let node = |id: &str| {
        config(&backend)
            .env("ID", id)
            .env("RECORDER__NODE__HEARTBEAT", "300ms")
            .env("RECORDER__NODE__LOST_AFTER", "5s")
            .env("RECORDER__RENDITIONS", r#"[{ kind = "thumbnail" }, { kind = "mp3" }]"#)
    };
    let mut first = ok(node("first").start().await, "the first recorder starts");
    let driver = driver();
    let (_session, call) = begin(&first, &driver).await;
    assert!(wait_for(Duration::from_secs(60), async || backend.uploads().await == 1).await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.kill9();
    let second = ok(node("second").start().await, "the second recorder starts");
    let row = until_available(&second, &call.id).await;
    assert!(row.error.contains("node first was lost"), "{row:?}");
    let part = backend.object(&second, &call.id).await;
    let bytes = ok(std::fs::metadata(&part), "the object").len();
    assert!(bytes >= 5 << 20 && bytes == row.bytes as u64, "{bytes} bytes, {row:?}");
    let played = ok(testkit::verify::packets(&part), "packets of what was rescued").len();
    assert!(played > 100, "{played} packets");
    assert_eq!(backend.uploads().await, 0);
    let part = rendered(&second, &call.id, Duration::from_secs(2)).await;
    ok(first.restart().await, "the restart");
    let whole = wait_for(Duration::from_secs(60), async || {
        let row = row_of(&first, &call.id).await.unwrap_or_default();
        row.state() == RecordingState::Available && row.error.is_empty()
    });
    assert!(whole.await, "{:?}", row_of(&first, &call.id).await);
    let file = check(&backend, &first, &call.id).await;
    assert!(ok(std::fs::metadata(file), "the object").len() > bytes);
    rendered(&first, &call.id, part).await;
}

/// The states that a watch sends until the recording is available.
async fn states_until_available(
    mut events: Streaming<WatchRecordingResponse>,
    states: tokio::sync::watch::Sender<Vec<RecordingState>>,
) {
    while let Ok(Some(event)) = events.message().await {
        let Some(Event::Recording(row)) = event.event else { continue };
        states.send_modify(|states| states.push(row.state()));
        if row.state() == RecordingState::Available {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_lost_before_its_first_part_is_parked_and_available_after_the_nodes_return() {
    let backend = TestBackend::production().await;
    let node = |id: &str| {
        config(&backend)
            .env("ID", id)
            .env("RECORDER__NODE__HEARTBEAT", "300ms")
            .env("RECORDER__NODE__LOST_AFTER", "2s")
            .env("RECORDER__RENDITIONS", r#"[{ kind = "thumbnail" }, { kind = "mp3" }]"#)
    };
    let mut first = ok(node("first").start().await, "the first recorder starts");
    let driver = driver();
    let config = SenderConfig::playing([Track::of(coded(ClipSpec::small(Codec::Vp8))), beep()]);
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut first.client(), &session, "short").await, "the offer");
    connected(&session).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(backend.uploads().await, 0);
    first.kill9();
    let second = ok(node("second").start().await, "the second recorder starts");
    let request = WatchRecordingRequest { recording_id: call.id.clone() };
    let watched = RecordingServiceClient::new(second.channel()).watch_recording(request).await;
    let (states, seen) = tokio::sync::watch::channel(Vec::new());
    let watching = tokio::spawn(states_until_available(ok(watched, "the watch").into_inner(), states));
    let parked = wait_for(Duration::from_secs(60), async || {
        let row = row_of(&second, &call.id).await.unwrap_or_default();
        row.state() == RecordingState::Parked && row.error.contains("its node first was lost")
    });
    assert!(parked.await, "{:?}", row_of(&second, &call.id).await);
    // Stop on another node returns OK: the session has ended.
    ok(call.stop(&mut second.client()).await, "the stop");
    ok(first.restart().await, "the restart");
    let row = until_available(&second, &call.id).await;
    assert_eq!((row.error.as_str(), row.end_reason()), ("", EndReason::Crash));
    assert!(row.duration.is_some_and(|one| one.seconds >= 2), "{row:?}");
    check(&backend, &first, &call.id).await;
    rendered(&second, &call.id, Duration::from_secs(2)).await;
    assert!(tokio::time::timeout(Duration::from_secs(10), watching).await.is_ok(), "{:?}", *seen.borrow());
    let seen = seen.borrow().clone();
    assert_eq!(seen.first(), Some(&RecordingState::Recording));
    assert!(seen.contains(&RecordingState::Parked), "{seen:?}");
}
