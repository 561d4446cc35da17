//! SIGKILL at random moments, and SIGTERM.

use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use testkit::{
    call::Call,
    recorder::Recorder,
    sender::{Driver, SenderConfig, Session},
    signal::Codec,
    verify::{decode_strictly, packets, probe},
};

use crate::support::{CLIP_FRAMES, TestBackend, beep, connected, counted, driver, ok, sender, video};

/// How much of a recording a kill may lose.
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
        connected(session).await;
    }
    calls
}

/// Checks that the file is valid and has everything that was sent except the last `lost`.
async fn holds_all_but(
    backend: &TestBackend,
    recorder: &Recorder,
    call: &Call,
    sent: &[u64],
    lost: Duration,
) {
    let file = backend.object(recorder, &call.id).await;
    ok(decode_strictly(&file), "strict decoding");
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole() && counters.first == Some(0), "{counters:?}");
    let want = |sent: u64, rate: f64| (sent as f64 - lost.as_secs_f64() * rate).max(1.0) as usize;
    assert!(pictures.len() >= want(sent[0], 30.0), "{} of {} pictures", pictures.len(), sent[0]);
    let probed = ok(probe(&file), "the headers");
    let audio = probed.of_kind("audio").next().map(|stream| stream.index);
    let heard = ok(packets(&file), "packets").iter().filter(|packet| Some(packet.stream) == audio).count();
    assert!(heard >= want(sent[1], 50.0), "{heard} of {} packets of sound", sent[1]);
    assert!(probed.duration().is_some(), "a finished file has a duration");
}

/// Kills a recorder `times` times with live sessions. `seed` determines the moments.
pub async fn killed_and_recovered(backend: &TestBackend, seed: u64, times: usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut recorder = backend.start().await;
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
            holds_all_but(backend, &recorder, call, sent, LAST_SECOND).await;
        }
    }
}

pub async fn sigterm_finalizes_every_live_recording(backend: &TestBackend) {
    let (mut recorder, driver) = (backend.start().await, driver());
    let calls = live(&recorder, &driver).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut sent = Vec::new();
    for (session, _) in &calls {
        sent.push(session.stats().await.frames);
    }
    let begin = Instant::now();
    let status = ok(recorder.terminate(Duration::from_secs(60)).await, "SIGTERM");
    assert!(status.is_some_and(|status| status.success()), "{status:?} after {:?}", begin.elapsed());
    ok(recorder.restart().await, "the restart");
    for ((_, call), sent) in calls.iter().zip(&sent) {
        // Frames in flight at the signal may be missing.
        holds_all_but(backend, &recorder, call, sent, Duration::from_millis(500)).await;
        ok(call.stop(&mut recorder.client()).await, "a stop after the end");
    }
}
