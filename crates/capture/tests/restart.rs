//! Recovery of the spool at the start, and refused configurations.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, sync::Arc};

use capture::{Capture, PortRange};
use model::EndReason;
use support::{Memory, Node, audio_and_video, config, eventually, tenant};
use testkit::{sender::Driver, verify};

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_was_not_committed_is_committed_at_the_next_start() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(15).await;
    node.ledger.set_away(true);
    let (capture, id) = (node.capture.clone(), call.begun.id);
    let stop = tokio::spawn(async move { capture.stop(&tenant(), id, EndReason::Requested).await });
    let finished = node.spool.path().join(format!("{id}/{id}.webm"));
    eventually("the file is finished", || finished.exists().then_some(())).await;
    stop.abort();
    let _ = stop.await;
    let node = node.crash_and_restart().await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(
        (recording.id.to_string(), recording.end_reason),
        (id.to_string(), Some(EndReason::Requested))
    );
    assert_eq!(fs::metadata(node.media(&recording)).unwrap().len(), recording.bytes);

    let node = node.crash_and_restart().await;
    assert!(node.ledger.finalized.lock().unwrap().is_empty(), "a committed recording is not committed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_media_is_committed_after_a_crash_and_its_directory_removed() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let sender = driver.add(audio_and_video(), support::LOOPBACK).await.unwrap();
    let begun = node.begin(sender.offer().await.unwrap()).await;
    let node = node.crash_and_restart().await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.id, begun.id.into());
    assert_eq!(recording.end_reason, Some(EndReason::Crash));
    assert_eq!(recording.error.as_deref(), Some("no media was received"));
    eventually("the directory is removed", || (node.directories() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_directory_that_is_not_understood_stays_and_delays_no_other() {
    let node = Node::start().await;
    let spool = node.spool.path();
    let directory = |name: &str| {
        let path = spool.join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let broken = directory("01890a5d-ac96-774b-bcce-b302099a8051");
    fs::write(broken.join("manifest.json"), b"{").unwrap();
    fs::write(broken.join("media.part"), b"media").unwrap();
    let orphan = directory("01890a5d-ac96-774b-bcce-b302099a8052");
    fs::write(orphan.join("media.part"), b"media").unwrap();
    let empty = directory("01890a5d-ac96-774b-bcce-b302099a8053");
    fs::write(empty.join("media.part"), b"").unwrap();
    let foreign = directory("lost+found");
    let node = node.crash_and_restart().await;
    assert!(broken.join("media.part").exists() && orphan.join("media.part").exists() && foreign.exists());
    assert!(!empty.exists());
    assert!(node.ledger.finalized.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_spool_in_use_is_refused() {
    let node = Node::start().await;
    let second = config(node.spool.path().to_owned());
    let refused = Capture::start(second, Arc::new(Memory::default())).await.unwrap_err();
    assert_eq!(refused.key, "spool.directory");
    assert!(refused.problem.contains("another recorder"), "{refused}");
}

#[tokio::test]
async fn an_unusable_setting_is_named() {
    let taken = std::net::UdpSocket::bind((support::LOOPBACK, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    type Change = Box<dyn Fn(&mut capture::CaptureConfig)>;
    let rows: [(&str, Change); 5] = [
        ("webrtc.codecs", Box::new(|config| config.webrtc.codecs.clear())),
        ("webrtc.listen_ips", Box::new(|config| config.webrtc.listen_ips.clear())),
        ("webrtc.listen_ips", Box::new(|config| config.webrtc.listen_ips = vec!["0.0.0.0".parse().unwrap()])),
        (
            "webrtc.udp_port_range",
            Box::new(move |config| config.webrtc.udp_port_range = PortRange(port..=port)),
        ),
        (
            "webrtc.udp_port_range",
            Box::new(|config| {
                config.webrtc.udp_port_range = PortRange(40000..=40001);
                config.webrtc.shards = 3;
            }),
        ),
    ];
    for (key, change) in rows {
        let spool = tempfile::tempdir().unwrap();
        let mut config = config(spool.path().to_owned());
        change(&mut config);
        let refused = Capture::start(config, Arc::new(Memory::default())).await.unwrap_err();
        assert_eq!(refused.key, key, "{refused}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Capture::start(config(file.path().join("spool")), Arc::new(Memory::default())).await;
    assert_eq!(refused.unwrap_err().key, "spool.directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_recording_loses_less_than_a_second() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(120).await;
    let sent = call.sender.stats().await.frames[0];
    let node = node.crash_and_restart().await;
    let recording = node.ledger.wait_for_one().await;
    assert_eq!(recording.id, call.begun.id.into());
    assert_eq!(recording.end_reason, Some(EndReason::Crash));
    assert_eq!(recording.error, None);
    let media = node.media(&recording);
    assert_eq!(fs::metadata(&media).unwrap().len(), recording.bytes);
    verify::decode_strictly(&media).unwrap();
    let pictures = verify::pictures(&media, 0).unwrap();
    let counters = verify::Counters::of(&pictures, 360);
    assert!(counters.is_whole(), "{counters:?}");
    // Frames wait up to a second for frames of other tracks, and half a second for the write.
    assert!(pictures.len() as u64 + 45 >= sent, "{} of {sent} frames", pictures.len());
    assert!(!node.directory(&recording).join("media.part").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_at_any_byte_is_repaired_and_plays() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    call.send_frames(150).await;
    let begun = node.spool.path().join(call.begun.id.to_string());
    let manifest = fs::read_to_string(begun.join("manifest.json")).unwrap();
    let media = fs::read(begun.join("media.part")).unwrap();
    drop(call);

    // Each cut has a directory of its own in another spool.
    let spool = tempfile::tempdir().unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut lengths = std::collections::HashMap::new();
    for _ in 0..200 {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let length = (random >> 33) as usize % media.len();
        let id = model::SessionId::new();
        let directory = spool.path().join(id.to_string());
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("manifest.json"), manifest.replace(&call_id(&begun), &id.to_string()))
            .unwrap();
        fs::write(directory.join("media.part"), &media[..length]).unwrap();
        lengths.insert(id.to_string(), length as u64);
    }
    let ledger = Arc::new(Memory::default());
    let _capture = Capture::start(config(spool.path().to_owned()), ledger.clone()).await.unwrap();
    let finalized = ledger.finalized.lock().unwrap().clone();
    assert_eq!(finalized.len(), 200);
    let mut checked = 0;
    for recording in finalized {
        assert_eq!(recording.end_reason, Some(EndReason::Crash));
        let Some(container) = recording.container else {
            assert!(
                lengths[&recording.id.to_string()] < 100_000,
                "only a cut in the first frames leaves no media"
            );
            continue;
        };
        let file = spool.path().join(format!("{0}/{0}.{1}", recording.id, container.extension()));
        assert_eq!(fs::metadata(&file).unwrap().len(), recording.bytes);
        if recording.id.as_uuid().as_bytes()[15] % 16 == 0 {
            verify::decode_strictly(&file).unwrap();
            checked += 1;
        }
    }
    assert!(checked > 0);
}

fn call_id(directory: &std::path::Path) -> String {
    directory.file_name().unwrap().to_string_lossy().into_owned()
}
