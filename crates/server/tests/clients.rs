//! Recordings of other WebRTC stacks: aiortc and werift.

mod support;

use std::time::Duration;

use proto::webrtc_recorder::StopP2pVideoRequest;
use support::{CLIP_FRAMES, assert_in_sync, config, counted, object, ok, start};
use testkit::{
    call::upload_request,
    client::Client,
    recorder::Recorder,
    signal::{ClipSpec, Codec, clip_file},
    verify::{decode_strictly, probe, seek_everywhere},
};

/// Records a client's one connection for `time`.
async fn record(recorder: &Recorder, client: &mut Client, time: Duration) -> std::path::PathBuf {
    let offer = ok(client.offer("").await, "the client's offer");
    let response = ok(recorder.client().upload_p2p_video(upload_request(offer, "client")).await, "the offer");
    let response = response.into_inner();
    ok(client.answer("", &response.sdp_answer).await, "the client takes the answer");
    tokio::time::sleep(time).await;
    ok(recorder.client().stop_p2p_video(StopP2pVideoRequest { id: response.id.clone() }).await, "the stop");
    object(recorder, &response.id).await
}

/// Checks that the file has these tracks and the recorded duration, decodes without errors, is in sync, and seeks.
fn check(file: &std::path::Path, codec: &str, seconds: f64, tolerance_ms: f64, clip_frames: u16) {
    let probed = ok(probe(file), "the headers");
    assert_eq!((probed.codecs("video"), probed.codecs("audio")), (vec![codec], vec!["opus"]));
    let duration = probed.duration().unwrap_or_default();
    assert!((duration - seconds).abs() < 0.6, "{duration} s of {seconds} s");
    ok(decode_strictly(file), "strict decoding");
    ok(seek_everywhere(file, 20, 1), "seeking");
    let (pictures, counters) = counted(file, 0, clip_frames);
    assert!(counters.is_whole(), "{counters:?}");
    assert!(pictures.len() as f64 > (seconds - 0.6) * 30.0, "{} pictures", pictures.len());
    assert_in_sync(file, &pictures, tolerance_ms, 3);
}

#[tokio::test]
async fn aiortc_is_recorded_in_vp8() {
    let recorder = start(config()).await;
    let mut client = ok(Client::aiortc("video/VP8").await, "aiortc");
    let file = record(&recorder, &mut client, Duration::from_secs(4)).await;
    check(&file, "vp8", 4.0, 40.0, u16::MAX);
}

#[tokio::test]
async fn aiortc_is_recorded_in_h264() {
    let recorder = start(config()).await;
    let mut client = ok(Client::aiortc("video/H264").await, "aiortc");
    let file = record(&recorder, &mut client, Duration::from_secs(4)).await;
    check(&file, "h264", 4.0, 40.0, u16::MAX);
}

#[tokio::test]
async fn werift_is_recorded() {
    let video = ok(clip_file(ClipSpec::small(Codec::Vp8)), "the picture");
    let audio = ok(clip_file(ClipSpec::beep()), "the sound");
    let recorder = start(config()).await;
    let mut client = ok(Client::werift(&video, &audio).await, "werift");
    let file = record(&recorder, &mut client, Duration::from_secs(4)).await;
    check(&file, "vp8", 4.0, 40.0, CLIP_FRAMES);
}
