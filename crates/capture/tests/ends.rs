//! Every end of a session, and sessions that do not begin.

mod support;

use std::time::Duration;

use capture::CaptureError;
use model::EndReason;
use support::{AUDIO, Node, VIDEO, audio_and_video, eventually, eventually_async, session, tenant};
use testkit::{
    sender::{Driver, SenderConfig, Track},
    verify,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_ends_its_session() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(15).await;
    call.sender.close().await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::PeerClosed));
    verify::decode_strictly(&node.media(&recording)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_ends_its_session_after_the_time_out() {
    let change = |config: &mut capture::CaptureConfig| {
        config.webrtc.ice_disconnected_timeout = Duration::from_millis(500).into();
        config.webrtc.ice_failed_timeout = Duration::from_secs(3).into();
    };
    let node = Node::start_with(change).await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(15).await;
    call.sender.vanish().await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::IceFailed));
    verify::decode_strictly(&node.media(&recording)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_connects_leaves_a_recording_with_the_reason_and_no_files() {
    let node = Node::start_with(|config| config.webrtc.connect_timeout = Duration::from_secs(3).into()).await;
    let driver = Driver::start().unwrap();
    let sender = driver.add(audio_and_video(), support::LOOPBACK).await.unwrap();
    node.begin(sender.offer().await.unwrap()).await;
    assert_eq!(node.directories(), 1);
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::ConnectTimeout));
    assert_eq!((recording.container, recording.object_key.as_deref(), recording.bytes), (None, None, 0));
    assert_eq!(recording.error.as_deref(), Some("no media was received"));
    eventually("the directory is removed", || (node.directories() == 0).then_some(())).await;
    assert_eq!(node.capture.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_ends_a_session() {
    let node = Node::start_with(|config| config.limits.session_time = Duration::from_secs(4).into()).await;
    let driver = Driver::start().unwrap();
    let _call = node.call(&driver, audio_and_video()).await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::TimeLimit));
    verify::decode_strictly(&node.media(&recording)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_limit_ends_a_session_close_to_it() {
    const LIMIT: u64 = 100_000;
    let node = Node::start_with(|config| config.limits.recording_bytes = LIMIT.into()).await;
    let driver = Driver::start().unwrap();
    let _call = node.call(&driver, audio_and_video()).await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.end_reason, Some(EndReason::SizeLimit));
    assert!((LIMIT..4 * LIMIT).contains(&recording.bytes), "{}", recording.bytes);
    verify::decode_strictly(&node.media(&recording)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finalizes_every_session_and_refuses_new_ones() {
    let node = Node::start_with(|config| config.webrtc.shards = 2).await;
    let driver = Driver::start().unwrap();
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(node.call(&driver, audio_and_video()).await);
    }
    for call in &calls {
        call.send_frames(15).await;
    }
    assert_eq!(node.capture.shutdown(Duration::from_secs(20)).await, 0);
    let finalized = node.ledger.finalized.lock().unwrap().clone();
    assert_eq!(finalized.len(), 4);
    for recording in &finalized {
        assert_eq!(recording.end_reason, Some(EndReason::Shutdown));
        verify::decode_strictly(&node.media(recording)).unwrap();
    }
    let refused = node.capture.begin(session("v=0".to_owned())).await;
    assert!(matches!(refused, Err(CaptureError::Draining)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_ledger_delays_stop_and_loses_nothing() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(15).await;
    node.ledger.set_away(true);
    let (capture, id) = (node.capture.clone(), call.begun.id);
    let stop = tokio::spawn(async move { capture.stop(&tenant(), id, EndReason::Requested).await });
    eventually_async("it is being finalized", || async {
        let state = node.capture.live(None).await[0].state;
        (state == model::RecordingState::Processing).then_some(())
    })
    .await;
    assert!(!stop.is_finished());
    assert_eq!(node.capture.shutdown(Duration::from_millis(10)).await, 1, "it is not finalized in time");
    node.ledger.set_away(false);
    let recording = stop.await.unwrap().unwrap();
    assert_eq!(recording.end_reason, Some(EndReason::Requested));
    assert_eq!(node.ledger.finalized.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_fails_to_begin_leaves_no_row_no_directory_and_no_admission() {
    let node = Node::start_with(|config| config.limits.offer_bytes = 20_000.into()).await;
    let driver = Driver::start().unwrap();
    let sender = driver.add(audio_and_video(), support::LOOPBACK).await.unwrap();
    let offer = sender.offer().await.unwrap();

    let refused = node.capture.begin(session("hello".to_owned())).await;
    assert!(matches!(refused, Err(CaptureError::Offer(_))), "{refused:?}");
    let refused = node.capture.begin(session(offer.clone() + &" ".repeat(20_000))).await;
    assert!(matches!(refused, Err(CaptureError::Offer(peer::OfferError::TooLarge { .. }))), "{refused:?}");
    node.ledger.set_away(true);
    let refused = node.capture.begin(session(offer)).await;
    assert!(matches!(refused, Err(CaptureError::Ledger(_))), "{refused:?}");

    assert_eq!((node.directories(), node.capture.count()), (0, 0));
    assert!(node.capture.live(None).await.is_empty());
    assert!(node.ledger.began.lock().unwrap().is_empty());
    assert!(node.ledger.finalized.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_refuses_sessions() {
    let node = Node::start_with(|config| config.limits.min_free_bytes = u64::MAX.into()).await;
    let refused = node.capture.begin(session("v=0".to_owned())).await;
    assert!(matches!(refused, Err(CaptureError::DiskNearlyFull { required: u64::MAX, .. })), "{refused:?}");
    assert_eq!((node.directories(), node.capture.count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_renegotiation_changes_nothing_and_an_accepted_one_adds_a_track() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, SenderConfig::playing([Track::of(VIDEO.clone())])).await;
    call.send_frames(10).await;
    let id = call.begun.id;
    let refused = node.capture.renegotiate(&tenant(), id, "hello".to_owned()).await;
    assert!(matches!(refused, Err(CaptureError::Offer(_))), "{refused:?}");
    let other = "another".parse().unwrap();
    let refused = node.capture.renegotiate(&other, id, "hello".to_owned()).await;
    assert!(matches!(refused, Err(CaptureError::NotFound(_))), "{refused:?}");

    let offer = call.sender.offer_more(Track::of(AUDIO.clone())).await.unwrap();
    let answer = node.capture.renegotiate(&tenant(), id, offer).await.unwrap();
    call.sender.accept_answer(answer).await.unwrap();
    eventually_async("the added track is recorded", || async {
        let live = node.capture.live(None).await;
        (live[0].tracks.len() == 2 && live[0].tracks.iter().all(|track| track.recorded.frames >= 10))
            .then_some(())
    })
    .await;
    let recording = node.capture.stop(&tenant(), id, EndReason::Requested).await.unwrap();
    let media = node.media(&recording);
    verify::decode_strictly(&media).unwrap();
    assert_eq!(recording.tracks.len(), 2);
    let counters = verify::Counters::of(&verify::pictures(&media, 0).unwrap(), 360);
    assert!(counters.is_whole(), "{counters:?}");
}
