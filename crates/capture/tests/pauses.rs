//! Pause and resume of a WebRTC session.

mod support;

use std::time::{Duration, Instant};

use capture::CaptureError;
use model::{Codec, EndReason, RecordingState};
use support::{Node, audio_and_video, tenant};
use testkit::{sender::Driver, verify};

#[tokio::test(flavor = "multi_thread")]
async fn media_sent_in_a_pause_is_not_in_the_file_and_audio_and_video_stay_in_sync() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    let id = call.begun.id;
    call.send_frames(60).await;
    // Bounds of the length of all pauses, in seconds.
    let (mut least, mut most) = (0.0, 0.0);
    for _ in 0..3 {
        let asked = Instant::now();
        node.capture.pause(&tenant(), id, true).await.unwrap();
        let paused = Instant::now();
        assert_eq!(node.capture.live(None).await[0].state, RecordingState::Paused);
        let before = node.capture.live(None).await[0].bytes;
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        let written = node.capture.live(None).await[0].bytes - before;
        assert!(written < 20_000, "{written} bytes written in a pause");
        least += paused.elapsed().as_secs_f64();
        node.capture.pause(&tenant(), id, false).await.unwrap();
        most += asked.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_millis(1_700)).await;
    }
    let before_stop = call.sender.stats().await.frames[0];
    let recording = node.capture.stop(&tenant(), id, EndReason::Requested).await.unwrap();
    let sent = call.sender.stats().await.frames.first().copied().unwrap_or_default().max(before_stop);
    let media = node.media(&recording);
    verify::decode_strictly(&media).unwrap();
    let of = |codec| recording.tracks.iter().find(|track| track.codec == codec).unwrap();
    let length = recording.duration.as_secs_f64();
    let expected = before_stop as f64 / 30.0 - most - 0.6..sent as f64 / 30.0 - least + 0.6;
    assert!(expected.contains(&length), "{length} s, not {expected:?}");
    assert!(of(Codec::Vp8).frames < sent - 80, "{} of {sent}", of(Codec::Vp8).frames);
    // Each recorded beep is heard at its flash.
    let pictures = verify::pictures(&media, 0).unwrap();
    let offsets = verify::av_offsets_ms(&pictures, &verify::sound(&media, 0).unwrap());
    assert!(offsets.len() >= 3, "{offsets:?}");
    assert!(offsets.values().all(|offset| offset.abs() <= 45.0), "ms from flash to beep: {offsets:?}");
    let ended = node.capture.pause(&tenant(), id, false).await;
    assert!(matches!(ended, Err(CaptureError::NotFound(_))), "{ended:?}");
}
