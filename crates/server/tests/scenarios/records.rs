//! Recordings of the testkit's WebRTC sender, from its offer to the object.

use std::time::Duration;

use testkit::{
    call::Call,
    sender::{Impairment, SenderConfig, Track},
    signal::{ClipSpec, Codec},
    verify::{av_offsets_ms, packets, pictures, sound},
};

use crate::support::{
    CLIP_FRAMES, TestBackend, assert_in_sync, beep, check_file, coded, connected, counted, driver, ok,
    played, sender, sent, video,
};

const PLAYED: Duration = Duration::from_secs(5);
const FRAMES: u64 = 150;

pub async fn a_codec_is_recorded_completely_and_in_sync(backend: &TestBackend, codec: Codec) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let config = SenderConfig { play_for: Some(PLAYED), ..SenderConfig::playing([video(codec), beep()]) };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "codec").await, "the offer");
    played(&session, FRAMES).await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &[codec.ffprobe_name()], &["opus"], 5.0);
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole(), "{counters:?}");
    assert_eq!((counters.first, pictures.len() as u64), (Some(0), FRAMES));
    assert_in_sync(&file, &pictures, 4.0, 5);
}

pub async fn five_percent_packet_loss_costs_no_frame(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let config = SenderConfig {
        seed: 11,
        outgoing: Impairment { delay: Duration::from_millis(10), ..Impairment::rtp_loss(0.05) },
        incoming: Impairment { delay: Duration::from_millis(10), ..Impairment::default() },
        play_for: Some(PLAYED),
        ..SenderConfig::playing([video(Codec::Vp8), beep()])
    };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "loss").await, "the offer");
    played(&session, FRAMES).await;
    let stats = session.stats().await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &["vp8"], &["opus"], 5.0);
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole() && pictures.len() as u64 == FRAMES, "{counters:?} {stats:?}");
    assert!(stats.packets_lost > 10, "{stats:?}");
    assert!(stats.resends <= 2 * (stats.packets_lost + stats.resends_lost), "{stats:?}");
}

pub async fn five_percent_packet_loss_costs_no_frame_of_the_best_simulcast_layer(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let full = ClipSpec { size: (640, 480), bit_rate: 800_000, ..ClipSpec::small(Codec::Vp8) };
    let quarter = ClipSpec { size: (160, 120), bit_rate: 100_000, ..full };
    let layers = Track::simulcast(coded(quarter), coded(ClipSpec::small(Codec::Vp8)), coded(full));
    let config = SenderConfig {
        seed: 12,
        outgoing: Impairment::rtp_loss(0.05),
        play_for: Some(PLAYED),
        ..SenderConfig::playing([layers, beep()])
    };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "simulcast").await, "the offer");
    played(&session, FRAMES).await;
    let stats = session.stats().await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &["vp8"], &["opus"], 5.0);
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole(), "{counters:?} {stats:?}");
    assert_eq!((counters.last, pictures.len() as u64), (Some(149), FRAMES), "{stats:?}");
    assert!(stats.resends <= 2 * (stats.packets_lost + stats.resends_lost), "{stats:?}");
    // All three layers send the same clip, so the picture size shows which one was written.
    let bytes: usize = ok(packets(&file), "packets").iter().map(|packet| packet.size).sum();
    assert!(bytes > 5 * 800_000 / 8 / 2, "{bytes} bytes are not those of the full layer");
}

pub async fn reordered_and_duplicate_packets_are_written_once_and_in_order(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let rough = Impairment { duplicate: 0.1, jitter: Duration::from_millis(25), ..Impairment::rtp_loss(0.0) };
    let config = SenderConfig {
        seed: 13,
        outgoing: rough,
        play_for: Some(PLAYED),
        ..SenderConfig::playing([video(Codec::Vp8), beep()])
    };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "rough").await, "the offer");
    played(&session, FRAMES).await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &["vp8"], &["opus"], 5.0);
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole() && pictures.len() as u64 == FRAMES, "{counters:?}");
    assert_in_sync(&file, &pictures, 4.0, 5);
}

pub async fn audio_that_begins_three_seconds_late_is_in_sync(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let late = beep().after(Duration::from_secs(3));
    let config = SenderConfig {
        play_for: Some(Duration::from_secs(6)),
        ..SenderConfig::playing([video(Codec::Vp8), late])
    };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "late").await, "the offer");
    played(&session, 180).await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &["vp8"], &["opus"], 6.0);
    assert_in_sync(&file, &ok(pictures(&file, 0), "pictures"), 10.0, 3);
}

pub async fn a_track_added_by_renegotiation_is_in_the_same_file(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let config =
        SenderConfig { play_for: Some(PLAYED), ..SenderConfig::playing([video(Codec::Vp8), beep()]) };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "added").await, "the offer");
    sent(&session, 60).await;
    let before = session.stats().await.frames[0] as f64 / 30.0;
    ok(call.add(&mut client, &session, video(Codec::Vp8)).await, "the renegotiation");
    let after = session.stats().await.frames[0] as f64 / 30.0;
    played(&session, FRAMES).await;
    let stats = session.stats().await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &["vp8", "vp8"], &["opus"], 5.0);
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert!(counters.is_whole() && pictures.len() as u64 == FRAMES, "{counters:?}");
    let (added, counters) = counted(&file, 1, CLIP_FRAMES);
    assert!(counters.is_whole(), "{counters:?}");
    assert_eq!(added.len() as u64, stats.frames[2]);
    // Both clips begin with a flash. The second one begins when it was added.
    let begin = added.first().map_or(0.0, |picture| picture.time);
    let expected = before - 0.1..after + 0.5;
    assert!(expected.contains(&begin), "the added track begins at {begin} s, not {expected:?}");
}

pub async fn a_closed_connection_finalizes_the_recording(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let play_for = Some(Duration::from_secs(2));
    let session =
        sender(&driver, SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) })
            .await;
    let call = ok(Call::begin(&mut client, &session, "goodbye").await, "the offer");
    played(&session, 60).await;
    session.close().await;
    check_file(&backend.object(&recorder, &call.id).await, &["vp8"], &["opus"], 2.0);
    ok(call.stop(&mut client).await, "a stop after the end");
}

pub async fn a_silent_client_has_its_recording_finalized_after_the_ice_timeout(backend: &TestBackend) {
    let config =
        backend.config().env("WEBRTC_ICE_DISCONNECT_TIMEOUT", "1s").env("WEBRTC_ICE_FAILED_TIMEOUT", "5s");
    let (recorder, driver) = (ok(config.start().await, "the recorder starts"), driver());
    let mut client = recorder.client();
    let play_for = Some(Duration::from_secs(2));
    let session =
        sender(&driver, SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) })
            .await;
    let call = ok(Call::begin(&mut client, &session, "vanishes").await, "the offer");
    played(&session, 60).await;
    session.vanish().await;
    check_file(&backend.object(&recorder, &call.id).await, &["vp8"], &["opus"], 2.0);
}

pub async fn an_outage_shorter_than_the_ice_timeout_continues_the_recording(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let play_for = Some(Duration::from_secs(6));
    let session =
        sender(&driver, SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) })
            .await;
    let call = ok(Call::begin(&mut client, &session, "blackout").await, "the offer");
    // The outage begins after the second beep and ends well before the fourth.
    sent(&session, 40).await;
    let dark = Impairment { loss: 1.0, ..Impairment::default() };
    session.set_impairment(dark, dark).await;
    sent(&session, 70).await;
    session.set_impairment(Impairment::default(), Impairment::default()).await;
    played(&session, 180).await;
    ok(call.stop(&mut client).await, "the stop");
    let file = backend.object(&recorder, &call.id).await;
    check_file(&file, &["vp8"], &["opus"], 6.0);
    let (pictures, counters) = counted(&file, 0, CLIP_FRAMES);
    assert_eq!((counters.last, counters.unreadable), (Some(179), 0), "{counters:?}");
    assert!(counters.missing.len() <= 90, "{counters:?}");
    // Between them are one second without packets, and up to one second until the next keyframe.
    let offsets = av_offsets_ms(&pictures, &ok(sound(&file, 0), "decoding sound"));
    for second in [0, 1, 4, 5] {
        assert!(
            offsets.get(&second).is_some_and(|offset| offset.abs() <= 4.0),
            "ms from flash to beep: {offsets:?}"
        );
    }
}

pub async fn a_hundred_handshakes_at_ten_percent_loss_all_connect(backend: &TestBackend) {
    let (recorder, driver) = (backend.start().await, driver());
    let mut client = recorder.client();
    let lossy = Impairment { loss: 0.1, ..Impairment::default() };
    let mut calls = Vec::new();
    for seed in 0..100 {
        let config =
            SenderConfig { seed, outgoing: lossy, incoming: lossy, ..SenderConfig::playing([beep()]) };
        let session = sender(&driver, config).await;
        let call = ok(Call::begin(&mut client, &session, "handshake").await, "the offer");
        calls.push((session, call));
    }
    for (session, call) in &calls {
        connected(session).await;
        ok(call.stop(&mut client).await, "the stop");
    }
}
