//! The debug log of `peer`, `media` and `store` follows a session from its offer to AVAILABLE.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use testkit::{
    call::Call,
    recorder::RecorderConfig,
    sender::{Driver, SenderConfig, Track},
    signal::{ClipSpec, Codec, clip},
};

#[tokio::test]
async fn the_debug_log_follows_a_session_from_its_offer_to_available() {
    let recorder = RecorderConfig::new(env!("CARGO_BIN_EXE_webrtc-recorder"))
        .env("RUST_LOG", "peer=debug,media=debug,store=debug")
        .start()
        .await
        .unwrap();
    let driver = Driver::start().unwrap();
    let tracks = [ClipSpec::small(Codec::Vp8), ClipSpec::beep()].map(|spec| Track::of(clip(spec).unwrap()));
    let session = driver.add(SenderConfig::playing(tracks), IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
    let call = Call::begin(&mut recorder.client(), &session, "log").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while session.stats().await.frames.first().is_none_or(|frames| *frames < 60) {
        assert!(Instant::now() < deadline, "{:?}", session.stats().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    call.stop(&mut recorder.client()).await.unwrap();
    recorder.object_of(&call.id, Duration::from_secs(60)).await.unwrap();
    // The upload job's end makes the recording AVAILABLE.
    let committed = |log: &str| log.lines().any(|line| is_of(line, "db.job.finish", &call.id));
    while !committed(&recorder.log()) {
        assert!(Instant::now() < deadline, "the upload was not committed:\n{}", recorder.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let log = recorder.log();
    let mut lines = log.lines();
    for step in ["db.session.begin", "media::", "db.session.finalize", "db.job.finish"] {
        assert!(lines.any(|line| is_of(line, step, &call.id)), "no {step} in its place:\n{log}");
    }
    assert!(log.lines().any(|line| is_of(line, "peer::", &call.id)), "no line of peer:\n{log}");
}

fn is_of(line: &str, step: &str, id: &str) -> bool {
    line.contains(step) && line.contains(id)
}
