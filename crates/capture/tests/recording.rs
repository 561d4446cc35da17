//! A session of an independent WebRTC implementation, from the offer to the finished file.

mod support;

use capture::CaptureError;
use model::{Container, EndReason, RecordingState};
use support::{Call, LOOPBACK, Nat, Node, audio_and_video, eventually, eventually_async, tenant};
use testkit::{sender::Driver, verify};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_until_stop_is_in_a_file_that_decodes() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(90).await;
    eventually_async("they are received", || async {
        let live = node.capture.live(None).await;
        let video = live[0].tracks.iter().find(|track| track.recorded.codec == Some(media::Codec::Vp8))?;
        (video.recorded.frames >= 90).then_some(())
    })
    .await;

    let live = node.capture.live(Some(&tenant())).await;
    assert_eq!((live.len(), live[0].id, live[0].state), (1, call.begun.id, RecordingState::Recording));
    assert_eq!(live[0].tracks.len(), 2);

    let recording = node.capture.stop(&tenant(), call.begun.id, EndReason::Requested).await.unwrap();
    assert_eq!(recording.state, RecordingState::Processing);
    assert_eq!(recording.end_reason, Some(EndReason::Requested));
    assert_eq!(recording.container, Some(Container::Webm));
    assert_eq!(recording.correlation_id, "c-1");
    assert_eq!(recording.name, call.begun.id.to_string());
    assert_eq!(recording.error, None);
    assert_eq!(recording.tracks.len(), 2);
    assert!(recording.object_key.as_deref().unwrap().starts_with("records/"));
    assert_eq!(*node.ledger.finalized.lock().unwrap(), std::slice::from_ref(&recording));
    assert_eq!(node.capture.count(), 0);

    let media = node.media(&recording);
    assert_eq!(std::fs::metadata(&media).unwrap().len(), recording.bytes);
    verify::decode_strictly(&media).unwrap();
    let probe = verify::probe(&media).unwrap();
    assert_eq!((probe.codecs("video"), probe.codecs("audio")), (vec!["vp8"], vec!["opus"]));
    let counters = verify::Counters::of(&verify::pictures(&media, 0).unwrap(), 360);
    assert!(counters.is_whole(), "{counters:?}");
    let written = recording.tracks.iter().find(|track| track.codec == model::Codec::Vp8).unwrap().frames;
    assert!(written >= 90, "{written} frames");
    let again = node.capture.stop(&tenant(), call.begun.id, EndReason::Requested).await;
    assert!(matches!(again, Err(CaptureError::NotFound(_))), "it is in the database only");
    eventually("the commit is noted", || {
        let manifest = std::fs::read_to_string(node.directory(&recording).join("manifest.json")).unwrap();
        manifest.contains("COMMITTED").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_address_changes_continues_the_same_recording() {
    // Two addresses, so that the answers must come from the one that the client uses.
    let listen_ips = vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let node = Node::start_with(|config| config.webrtc.listen_ips = listen_ips).await;
    let driver = Driver::start().unwrap();
    let sender = driver.add(audio_and_video(), LOOPBACK).await.unwrap();
    let begun = node.begin(sender.offer().await.unwrap()).await;
    let nat = Nat::towards(node.capture.media_addresses()[1]).await;
    sender.accept_answer(nat.rewrite(&begun.sdp_answer)).await.unwrap();
    let call = Call { begun, sender };
    call.send_frames(30).await;
    nat.rebind().await;
    call.send_frames(240).await;
    let recording = node.capture.stop(&tenant(), call.begun.id, EndReason::Requested).await.unwrap();
    let media = node.media(&recording);
    verify::decode_strictly(&media).unwrap();
    let pictures = verify::pictures(&media, 0).unwrap();
    let last = pictures.last().unwrap().time;
    assert!(last > 7.5, "the last picture is at {last} s");
    assert!(pictures.len() > 120, "{} pictures", pictures.len());
}
