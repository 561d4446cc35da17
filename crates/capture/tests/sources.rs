//! Sessions of sources that aren't WebRTC, from the first message to the finished file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use capture::{Capture, CaptureError, NewSource, SourceHandle};
use media::{Anchor, AudioChunk, AudioFormat, TrackConfig};
use model::{AudioResult, Channel, Codec, Container, EndReason, RecordingState, Source};
use rtp::{MediaKind, PayloadFormat, PayloadType, RtpPacket, RtpTimestamp, Ssrc, TrackId};
use support::{Node, eventually, eventually_async, tenant};
use testkit::verify;

const TRACK: TrackId = TrackId(0);
const PCM: AudioFormat = AudioFormat::Pcm { sample_rate: 16_000, channels: 1 };

fn source() -> NewSource {
    NewSource {
        tenant: tenant(),
        name: "voice".to_owned(),
        correlation_id: "c-1".to_owned(),
        channel: Channel::Call,
        source: Source::Audio,
        results: vec![AudioResult::Wav],
    }
}

async fn open(capture: &Capture) -> SourceHandle {
    let handle = capture.open(source()).await.unwrap();
    handle.add_audio(TRACK, "audio", PCM).await.unwrap();
    handle
}

/// Samples that do not repeat.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| roll()).collect()
}

async fn push(handle: &SourceHandle, samples: &[u8]) {
    for part in samples.chunks(6_400) {
        let chunk = AudioChunk { data: Bytes::copy_from_slice(part), ..AudioChunk::default() };
        handle.push(TRACK, chunk).await.unwrap();
    }
}

fn decoded(file: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-xerror", "-i"])
        .arg(file)
        .args(["-f", "s16le", "-c:a", "pcm_s16le", "-"])
        .output()
        .expect("ffmpeg must be installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_audio_is_recorded_sample_for_sample() {
    let node = Node::start().await;
    let handle = open(&node.capture).await;
    let id = handle.id();
    let sent = noise(16_000 * 2 * 60 + 246);
    push(&handle, &sent).await;
    let live = node.capture.live(Some(&tenant())).await;
    assert_eq!((live[0].id, live[0].state), (id, RecordingState::Recording));
    assert_eq!(live[0].tracks[0].name, "audio");
    let outcome = handle.finish(EndReason::Requested).await.unwrap();
    let recording = outcome.recording;
    assert_eq!((recording.id, outcome.refused), (id.into(), None));
    assert_eq!((recording.source, recording.container), (Source::Audio, Some(Container::Matroska)));
    assert_eq!(recording.end_reason, Some(EndReason::Requested));
    assert_eq!(recording.results, [AudioResult::Wav]);
    assert_eq!(recording.tracks[0].codec, Codec::Pcm);
    assert_eq!(recording.duration.as_millis(), 60_007);
    assert!(decoded(&node.media(&recording)) == sent);
    assert_eq!(*node.ledger.finalized.lock().unwrap(), [recording]);
    assert_eq!(node.capture.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_vanishes_ends_its_session() {
    let node = Node::start().await;
    let handle = open(&node.capture).await;
    let sent = noise(32_000);
    push(&handle, &sent).await;
    drop(handle);
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::PeerClosed));
    assert!(decoded(&node.media(&recording)) == sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_by_another_caller_records_the_audio_pushed_before_it() {
    let node = Node::start().await;
    let mut handle = open(&node.capture).await;
    let sent = noise(320_000);
    push(&handle, &sent).await;
    let stopped = node.capture.stop(&tenant(), handle.id(), EndReason::Requested).await.unwrap();
    assert!(decoded(&node.media(&stopped)) == sent);
    assert_eq!(handle.ended().await.unwrap().recording, stopped);
    assert!(handle.push(TRACK, AudioChunk::default()).await.is_err());
    let offer = node.capture.renegotiate(&tenant(), handle.id(), String::new()).await;
    assert!(matches!(offer, Err(CaptureError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_audio_ends_the_session_and_the_audio_before_it_is_recorded() {
    let node = Node::start().await;
    let mut handle = open(&node.capture).await;
    let sent = noise(32_002);
    push(&handle, &sent).await;
    let odd = AudioChunk { data: Bytes::from_static(&[1, 2, 3]), ..AudioChunk::default() };
    handle.push(TRACK, odd).await.unwrap();
    let outcome = handle.ended().await.unwrap();
    assert_eq!(outcome.refused.unwrap().field(), "data");
    assert_eq!(outcome.recording.end_reason, Some(EndReason::InvalidMedia));
    assert!(decoded(&node.media(&outcome.recording)) == sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_apply_to_sources() {
    let node = Node::start_with(|config| {
        config.limits.recording_bytes = 300_000.into();
        config.limits.session_time = Duration::from_secs(5).into();
        config.limits.sessions = 2;
    })
    .await;
    let (mut large, mut long) = (open(&node.capture).await, open(&node.capture).await);
    let third = node.capture.open(source()).await;
    assert!(matches!(third, Err(CaptureError::SessionLimit { live: 2, limit: 2 })), "{third:?}");
    push(&long, &noise(3_200)).await;
    push(&large, &noise(290_000)).await;
    while large.push(TRACK, AudioChunk { data: noise(6_400).into(), ..AudioChunk::default() }).await.is_ok() {
    }
    let large = large.ended().await.unwrap().recording;
    assert_eq!(large.end_reason, Some(EndReason::SizeLimit));
    assert!((300_000..400_000).contains(&large.bytes), "{}", large.bytes);
    let long = long.ended().await.unwrap().recording;
    assert_eq!(long.end_reason, Some(EndReason::TimeLimit));
    verify::decode_strictly(&node.media(&long)).unwrap();

    let live = open(&node.capture).await;
    push(&live, &noise(3_200)).await;
    assert_eq!(node.capture.shutdown(Duration::from_secs(60)).await, 0);
    assert_eq!(node.ledger.finalized.lock().unwrap().last().unwrap().end_reason, Some(EndReason::Shutdown));
    assert!(matches!(node.capture.open(source()).await, Err(CaptureError::Draining)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_to_begin_leaves_nothing() {
    let node = Node::start().await;
    node.ledger.set_away(true);
    let refused = node.capture.open(source()).await;
    assert!(matches!(refused, Err(CaptureError::Ledger(_))), "{refused:?}");
    assert_eq!((node.directories(), node.capture.count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_audio_is_repaired_after_a_crash() {
    let node = Node::start().await;
    let handle = open(&node.capture).await;
    let sent = noise(320_000);
    push(&handle, &sent).await;
    let part = node.spool.path().join(handle.id().to_string()).join("media.part");
    eventually("it is on disk", || (part.metadata().ok()?.len() > 320_000).then_some(())).await;
    let node = node.crash_and_restart().await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::Crash));
    assert_eq!((recording.source, &recording.results[..]), (Source::Audio, &[AudioResult::Wav][..]));
    let recovered = decoded(&node.media(&recording));
    assert!(recovered.len() > 300_000 && sent.starts_with(&recovered), "{} bytes", recovered.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_removes_exactly_the_audio_pushed_in_it() {
    let node = Node::start().await;
    let handle = open(&node.capture).await;
    let (id, sent) = (handle.id(), noise(50_000));
    let pause = async |paused| node.capture.pause(&tenant(), id, paused).await.unwrap();
    push(&handle, &sent[..20_002]).await;
    pause(true).await;
    pause(true).await;
    assert_eq!(node.capture.live(None).await[0].state, RecordingState::Paused);
    push(&handle, &sent[20_002..30_004]).await;
    pause(false).await;
    assert_eq!(node.capture.live(None).await[0].state, RecordingState::Recording);
    push(&handle, &sent[30_004..]).await;
    let recording = handle.finish(EndReason::Requested).await.unwrap().recording;
    assert!(decoded(&node.media(&recording)) == [&sent[..20_002], &sent[30_004..]].concat());
    assert_eq!(*node.ledger.paused.lock().unwrap(), [(id, true), (id, true), (id, false)]);
    let ended = node.capture.pause(&tenant(), id, true).await;
    assert!(matches!(ended, Err(CaptureError::NotFound(_))), "{ended:?}");
}

fn speaker(id: u32) -> TrackConfig {
    TrackConfig {
        id: TrackId(id),
        name: format!("speaker-{id}"),
        kind: MediaKind::Audio,
        formats: vec![PayloadFormat {
            payload_type: PayloadType(120),
            encoding: rtp::Codec::Opus.into(),
            clock_rate: 48_000,
            channels: 2,
            fmtp: String::new(),
        }],
        anchor: Anchor::Arrival,
    }
}

/// 20 ms of silence.
fn opus_packet(ssrc: u32, index: u16) -> RtpPacket {
    RtpPacket {
        ssrc: Ssrc(ssrc),
        payload_type: PayloadType(120),
        sequence_number: index,
        timestamp: RtpTimestamp(u32::from(index) * 960),
        marker: false,
        rotation: None,
        resent: false,
        payload: Bytes::from_static(&[0xf8, 0xff, 0xfe]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn speakers_that_join_late_are_tracks_on_the_same_timeline() {
    let node = Node::start().await;
    let source = NewSource { source: Source::Discord, ..source() };
    let handle = node.capture.open(source).await.unwrap();
    handle.add_track(speaker(1)).await.unwrap();
    let began = Instant::now();
    for index in 0..50_u16 {
        if index == 25 {
            handle.add_track(speaker(2)).await.unwrap();
        }
        // The arrival is an argument, so a busy machine does not change it.
        let arrived = began + Duration::from_millis(20) * u32::from(index);
        handle.rtp(TrackId(1), arrived, opus_packet(1, index)).unwrap();
        if index >= 25 {
            handle.rtp(TrackId(2), arrived, opus_packet(2, index)).unwrap();
        }
        tokio::time::sleep_until((arrived + Duration::from_millis(20)).into()).await;
    }
    let recording = handle.finish(EndReason::Requested).await.unwrap().recording;
    assert_eq!((recording.source, recording.container), (Source::Discord, Some(Container::Webm)));
    let frames: Vec<_> = recording.tracks.iter().map(|track| (track.mid.as_str(), track.frames)).collect();
    assert_eq!(frames, [("speaker-1", 50), ("speaker-2", 25)]);
    let late = recording.tracks[1].start.as_secs_f64() - recording.tracks[0].start.as_secs_f64();
    assert!((0.48..0.6).contains(&late), "{late} s");
    verify::decode_strictly(&node.media(&recording)).unwrap();
}

// On one thread, so that the session's task can't empty the queue between two packets.
#[tokio::test]
async fn packets_that_find_the_queue_full_are_dropped_and_counted() {
    let node = Node::start().await;
    let handle = node.capture.open(NewSource { source: Source::Discord, ..source() }).await.unwrap();
    handle.add_track(speaker(1)).await.unwrap();
    for index in 0..300 {
        handle.rtp(TrackId(1), Instant::now(), opus_packet(1, index)).unwrap();
    }
    // The queue holds 256 inputs, and the track may still be one of them.
    let dropped = node.capture.live(None).await[0].drops.queue_full;
    assert!((44..=45).contains(&dropped), "{dropped}");
}

#[tokio::test]
async fn packets_of_unknown_tracks_are_dropped_and_counted() {
    let node = Node::start().await;
    let handle = node.capture.open(NewSource { source: Source::Discord, ..source() }).await.unwrap();
    handle.rtp(TrackId(9), Instant::now(), opus_packet(1, 0)).unwrap();
    eventually_async("the packet is counted", || async {
        (node.capture.live(None).await[0].drops.unknown_track == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_the_source_wait_and_nothing_is_lost() {
    // Four sessions push minutes of audio at once, as fast as they can, through a small budget.
    let node = Node::start_with(|config| config.spool.max_waiting_bytes = (256 << 10).into()).await;
    let sent = noise(8 << 20);
    let mut pushes = Vec::new();
    for _ in 0..4 {
        let handle = open(&node.capture).await;
        let sent = sent.clone();
        pushes.push(tokio::spawn(async move {
            push(&handle, &sent).await;
            handle.finish(EndReason::Requested).await.unwrap().recording
        }));
    }
    for pushed in pushes {
        let recording = pushed.await.unwrap();
        assert_eq!(recording.end_reason, Some(EndReason::Requested));
        assert!(decoded(&node.media(&recording)) == sent);
    }
    eventually_async("all is committed", || async { (node.capture.count() == 0).then_some(()) }).await;
}
