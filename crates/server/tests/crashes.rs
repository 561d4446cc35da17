//! Ends that nobody asked for: SIGKILL at any moment, SIGTERM.

mod support;

use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use support::{CLIP_FRAMES, beep, config, counted, driver, object, ok, sender, start, video};
use testkit::{
    call::Call,
    recorder::Recorder,
    sender::{Driver, SenderConfig, Session},
    signal::Codec,
    verify::{decode_strictly, packets, probe},
};

/// How much of a recording a kill may cost.
const LAST_SECOND: Duration = Duration::from_secs(1);

async fn live(recorder: &Recorder, driver: &Driver) -> Vec<(Session, Call)> {
    let mut client = recorder.client();
    let mut calls = Vec::new();
    for codec in [Codec::Vp8, Codec::H264] {
        let session = sender(driver, SenderConfig::playing([video(codec), beep()])).await;
        let call = ok(Call::begin(&mut client, &session, "crash").await, "the offer");
        calls.push((session, call));
    }
    for (session, _) in &calls {
        support::connected(session).await;
    }
    calls
}

/// Everything but the last `lost` of what was sent is in the file, which is whole.
async fn holds_all_but(recorder: &Recorder, call: &Call, sent: &[u64], lost: Duration) {
    let file = object(recorder, &call.id).await;
    ok(decode_strictly(&file), "strict decoding");
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole() && counters.first == Some(0), "{counters:?}");
    let want = |sent: u64, rate: f64| (sent as f64 - lost.as_secs_f64() * rate).max(1.0) as usize;
    assert!(pictures.len() >= want(sent[0], 30.0), "{} of {} pictures", pictures.len(), sent[0]);
    let probed = ok(probe(&file), "the headers");
    let audio = probed.of_kind("audio").next().map(|stream| stream.index);
    let heard = ok(packets(&file), "packets").iter().filter(|packet| Some(packet.stream) == audio).count();
    assert!(heard >= want(sent[1], 50.0), "{heard} of {} packets of sound", sent[1]);
    assert!(probed.duration().is_some(), "a sealed file has a duration");
}

/// Kills a recorder `times` times at moments drawn by `seed`, each time with live sessions.
async fn killed_and_recovered(seed: u64, times: usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut recorder = start(config()).await;
    for _ in 0..times {
        let driver = driver();
        let calls = live(&recorder, &driver).await;
        tokio::time::sleep(Duration::from_millis(dice.random_range(1_000..2_500))).await;
        let mut sent = Vec::new();
        for (session, _) in &calls {
            sent.push(session.stats().await.frames);
        }
        recorder.kill9();
        ok(recorder.restart().await, "the restart");
        for ((_, call), sent) in calls.iter().zip(&sent) {
            holds_all_but(&recorder, call, sent, LAST_SECOND).await;
        }
    }
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_1_to_5() {
    killed_and_recovered(1, 5).await;
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_6_to_10() {
    killed_and_recovered(2, 5).await;
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_11_to_15() {
    killed_and_recovered(3, 5).await;
}

#[tokio::test]
async fn kill_at_any_moment_costs_at_most_the_last_second_16_to_20() {
    killed_and_recovered(4, 5).await;
}

#[tokio::test]
async fn termination_seals_every_live_recording() {
    let (mut recorder, driver) = (start(config()).await, driver());
    let calls = live(&recorder, &driver).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut sent = Vec::new();
    for (session, _) in &calls {
        sent.push(session.stats().await.frames);
    }
    let begin = Instant::now();
    let status = ok(recorder.terminate(Duration::from_secs(10)).await, "SIGTERM");
    assert!(status.is_some_and(|status| status.success()), "{status:?} after {:?}", begin.elapsed());
    ok(recorder.restart().await, "the restart");
    for ((_, call), sent) in calls.iter().zip(&sent) {
        // Frames that were on their way at the signal may be missing.
        holds_all_but(&recorder, call, sent, Duration::from_millis(200)).await;
        ok(call.stop(&mut recorder.client()).await, "a stop after the end");
    }
}
