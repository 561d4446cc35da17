//! Datagrams of unauthenticated senders are counted, not answered, and routed to no session. Alone in its binary, because
//! counters are global.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::HashMap,
    net::UdpSocket,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use model::EndReason;
use support::{Node, audio_and_video, eventually, tenant};
use testkit::{sender::Driver, verify};

static COUNTERS: LazyLock<Mutex<HashMap<String, Arc<AtomicU64>>>> = LazyLock::new(Mutex::default);

struct Counters;

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = COUNTERS.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(key.name().to_owned()).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn count(name: &str) -> u64 {
    COUNTERS.lock().unwrap().get(name).map_or(0, |counter| counter.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_unauthenticated_senders_do_not_disturb_a_session() {
    metrics::set_global_recorder(Counters).unwrap();
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let call = node.call(&driver, audio_and_video()).await;
    let address = node.capture.media_addresses()[0];
    let intruder = UdpSocket::bind((support::LOOPBACK, 0)).unwrap();
    intruder.set_nonblocking(true).unwrap();
    let ufrag = call.begun.sdp_answer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
    for number in 0..300_u32 {
        let mut rtp = vec![0x80; 200];
        rtp[4..8].copy_from_slice(&number.to_be_bytes());
        intruder.send_to(&rtp, address).unwrap();
        intruder.send_to(&binding_request(ufrag.trim()), address).unwrap();
        intruder.send_to(&[22, 0xFE, 0xFD, 0, 0, 0, 0], address).unwrap();
        // Waits, so that the smallest receive buffer holds them.
        if number % 10 == 9 {
            let received = u64::from(number + 1) * 2;
            eventually("they are received", || {
                (count("recorder_datagrams_unroutable_total") >= received).then_some(())
            })
            .await;
        }
    }
    call.send_frames(30).await;
    // The user fragment routes a binding request to the peer, and nothing else.
    let unroutable = count("recorder_datagrams_unroutable_total");
    assert_eq!(unroutable, 600, "RTP and DTLS of the intruder, none of the sender");
    eventually("they are counted", || (count("recorder_datagrams_received_total") > 900 + 30).then_some(()))
        .await;
    assert!(intruder.recv(&mut [0; 2048]).is_err(), "an unauthenticated request is not answered");
    let rejected = node.capture.live(None).await[0].drops.received.stun;
    assert!(rejected >= 300, "{rejected} of the intruder's requests are counted in the session");
    let recording = node.capture.stop(&tenant(), call.begun.id, EndReason::Requested).await.unwrap();
    assert!(count("recorder_stun_rejected_total") >= 300);
    let counters = verify::Counters::of(&verify::pictures(&node.media(&recording), 0).unwrap(), 360);
    assert!(counters.is_whole(), "{counters:?}");
}

/// A STUN binding request with USE-CANDIDATE and a MESSAGE-INTEGRITY that is wrong (RFC 8489 §5, RFC 8445 §16.1).
fn binding_request(ufrag: &str) -> Vec<u8> {
    let username = format!("{ufrag}:remote");
    let mut attributes = vec![0, 6];
    attributes.extend((username.len() as u16).to_be_bytes());
    attributes.extend(username.as_bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    attributes.extend([0, 0x25, 0, 0]);
    attributes.extend([0, 8, 0, 20]);
    attributes.extend([0xAB; 20]);
    let mut request = vec![0, 1];
    request.extend((attributes.len() as u16).to_be_bytes());
    request.extend([0x21, 0x12, 0xA4, 0x42]);
    request.extend([7; 12]);
    request.extend(attributes);
    request
}
