//! Datagrams that an attacker sends from the client's address neither end a session nor fill its memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use openssl::{error::ErrorStack, ssl::SslCipherRef};
use peer::{Drops, PeerEvent, SenderReport, Ssrc};
use support::{
    Random, credentials, is_dtls,
    raw::{RawClient, binding_request, binding_request_with, fragment, record, rtp, rtp_with_transport_cc},
};

/// Counts the bytes that Rust code of this thread has allocated. libssl's own memory is not counted.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "GlobalAlloc is unsafe to implement")]
// SAFETY: every call goes on to the system's allocator unchanged; counting in a const-initialised thread-local cell
// without a destructor allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.with(|held| held.set(held.get() + layout.size() as isize));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.with(|held| held.set(held.get() - layout.size() as isize));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> isize {
    HELD.with(Cell::get)
}

/// A client whose first flight has been answered.
fn half_way() -> RawClient {
    let mut client = RawClient::new();
    client.start_session();
    client.exchange();
    client
}

#[test]
fn forged_records_on_a_live_session_change_nothing() {
    let table = [
        ("epoch-1 plaintext ChangeCipherSpec", record(20, 1, 999, &[1])),
        ("epoch-1 long ChangeCipherSpec", record(20, 1, 999, &[1; 25])),
        ("epoch-0 ChangeCipherSpec", record(20, 0, 999, &[1])),
        ("epoch-0 fatal alert", record(21, 0, 999, &[2, 40])),
        ("epoch-0 close_notify", record(21, 0, 999, &[1, 0])),
        ("epoch-1 plaintext alert", record(21, 1, 999, &[2, 40])),
        ("epoch-2 ChangeCipherSpec", record(20, 2, 9, &[1])),
        ("epoch-2 handshake", record(22, 2, 9, &[1; 100])),
        ("epoch-0 ClientHello", record(22, 0, 999, &fragment(1, 0, 8000, 1, &[0; 9]))),
        ("epoch-0 later handshake message", record(22, 0, 999, &fragment(1, 4, 60, 0, &[0; 60]))),
        ("undersized AEAD of 3", record(23, 1, 999, &[0; 3])),
        ("undersized AEAD of 0", record(23, 1, 999, &[])),
        ("undersized AEAD of 8", record(23, 1, 999, &[0; 8])),
        ("undersized AEAD of 16", record(23, 1, 999, &[0; 16])),
        ("undersized AEAD of 17", record(23, 1, 999, &[0; 17])),
        ("undersized AEAD of 23", record(23, 1, 999, &[0; 23])),
        ("empty AEAD of 24", record(23, 1, 999, &[0; 24])),
        ("shortest AEAD of 25", record(23, 1, 999, &[0; 25])),
        ("highest sequence number", record(23, 1, (1 << 48) - 1, &[0; 60])),
    ];
    for (what, datagram) in table {
        for cipher in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
            let mut client = RawClient::connected_with(cipher);
            assert_eq!(client.tls.ssl().current_cipher().map(SslCipherRef::name), Some(cipher));
            client.input(&datagram);
            let what = format!("{what} with {cipher}");
            assert!(client.events.is_empty() && client.received.is_empty(), "{what}: {:?}", client.events);
            assert!(client.is_alive(7, 1), "{what}: dead");
            assert_session_reads_dtls(&mut client, &what);
        }
    }
}

/// Asserts that the DTLS session still works: it receives close_notify.
fn assert_session_reads_dtls(client: &mut RawClient, what: &str) {
    client.events.clear();
    let _ = client.tls.shutdown();
    client.exchange();
    assert!(matches!(client.events[..], [PeerEvent::Closed(_)]), "{what}: {:?}", client.events);
}

#[test]
fn forged_records_in_mid_handshake_do_not_prevent_it() {
    let table = [
        ("fatal alert", record(21, 0, 5, &[2, 40])),
        ("close_notify", record(21, 0, 5, &[1, 0])),
        ("ChangeCipherSpec of epoch 1", record(20, 1, 5, &[1])),
        ("application data of epoch 0", record(23, 0, 5, &[0; 20])),
        ("alert of epoch 1", record(21, 1, 9, &[2, 40])),
        ("undersized record of epoch 1", record(22, 1, 9, &[2, 40])),
        ("Finished", record(22, 1, 9, &[7; 48])),
        ("Finished in the shape of ChaCha20", record(22, 1, 9, &[7; 40])),
        ("garbage", vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 5, 1, 2, 3, 4, 5]),
        ("cut record", vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9]),
    ];
    for (what, datagram) in table {
        let mut client = half_way();
        for _ in 0..50 {
            client.input(&datagram);
        }
        assert!(client.shake_hands(), "{what}: {:?}", client.events);
        assert!(client.is_alive(7, 1), "{what}");
    }
}

#[test]
fn a_repeated_client_hello_after_a_lost_flight_is_answered_by_the_timer() {
    let mut client = RawClient::new();
    client.start_session();
    let _ = client.tls.do_handshake();
    let hello: Vec<_> = client.tls.get_mut().outgoing.drain(..).collect();
    client.received.clear();
    hello.iter().for_each(|datagram| client.input(datagram));
    assert!(!client.received.is_empty());
    client.received.clear();
    client.advance(Duration::from_millis(50));
    hello.iter().for_each(|datagram| client.input(datagram));
    client.advance(Duration::from_millis(60));
    assert!(client.received.iter().any(|datagram| is_dtls(datagram)), "nothing resent");
    assert!(client.shake_hands());
}

#[test]
fn an_error_that_other_code_left_in_the_thread_ends_no_session() {
    let mut client = RawClient::connected();
    leave_an_error();
    client.input(&record(23, 1, 99, &[1; 60]));
    leave_an_error();
    assert!(client.is_alive(7, 1), "{:?}", client.events);
    leave_an_error();
    assert_session_reads_dtls(&mut client, "stale error");
    let mut client = half_way();
    leave_an_error();
    client.input(&record(21, 0, 5, &[2, 40]));
    leave_an_error();
    assert!(client.shake_hands());
}

/// Leaves an error in the queue, as other code does after a failed parse.
fn leave_an_error() {
    let error = openssl::x509::X509::from_der(b"nonsense").unwrap_err();
    error.put();
    assert!(!ErrorStack::get().errors().is_empty());
    error.put();
}

#[test]
fn random_datagrams_neither_end_nor_grow_a_live_session() {
    let mut client = RawClient::connected();
    assert!(client.is_alive(7, 1));
    let honest = [
        client.encrypt(&rtp(96, 2, 7, &[1; 50])),
        client.encrypt_rtcp(&[&[0x80, 200, 0, 6, 0, 0, 0, 7][..], &[0; 20]].concat()),
        binding_request(true),
        record(23, 1, 7, &[9; 80]),
        record(22, 0, 7, &fragment(1, 0, 40, 0, &[1; 40])),
    ];
    let mut random = Random::new(5);
    let mut baseline = 0;
    for round in 0..200_000 {
        let mut datagram = honest[random.below(honest.len())].clone();
        if random.chance(20.0) {
            datagram = (0..random.below(100)).map(|_| random.next() as u8).collect();
        }
        for _ in 0..1 + random.below(6) {
            if !datagram.is_empty() {
                let index = random.below(datagram.len());
                datagram[index] = random.next() as u8;
            }
        }
        datagram.truncate(random.below(datagram.len() + 20));
        client.input(&datagram);
        client.events.clear();
        client.received.clear();
        if round == 20_000 {
            baseline = held();
        }
    }
    let grown = held() - baseline;
    assert!(grown < 20_000, "grew by {grown} bytes");
    assert!(client.is_alive(7, 50), "{:?}", client.events);
    assert_session_reads_dtls(&mut client, "fuzz");
}

#[test]
fn two_hundred_thousand_forged_sources_use_no_memory() {
    let mut client = RawClient::connected();
    assert!(client.is_alive(7, 1));
    let forge = |ssrc: u32| [rtp(96, 3, ssrc, &[0x55; 40]), vec![0; 16]].concat();
    (0..1000).for_each(|ssrc| client.input(&forge(ssrc + 1000)));
    let before = held();
    for ssrc in 0..200_000 {
        client.input(&forge(ssrc + 10_000));
        // Unknown to RTCP as well.
        client.input(&[&[0x80, 200, 0, 6][..], &(ssrc + 10_000).to_be_bytes(), &[0x33; 44]].concat());
    }
    let grown = held() - before;
    // The probe's table holds 256 at most.
    assert!(grown < 200_000, "grew by {grown} bytes");
    assert!(
        client
            .events
            .iter()
            .all(|event| !matches!(event, PeerEvent::Rtp { packet, .. } if packet.ssrc != Ssrc(7)))
    );
    assert!(client.is_alive(7, 2));
    assert!(client.is_alive(8, 2), "a true new source after the flood");
}

#[test]
fn a_forged_first_packet_does_not_move_the_replay_window() {
    let mut client = RawClient::connected();
    // Far ahead: a window positioned by it would treat the authentic packets as too old.
    client.input(&[rtp(96, 30_000, 7, &[0x55; 40]), vec![0; 16]].concat());
    for sequence_number in 100..110 {
        client.send_rtp(&rtp(96, sequence_number, 7, &[1, 2, 3]));
        client.input(&[rtp(96, 40_000, 7, &[0x55; 40]), vec![0; 16]].concat());
    }
    assert_eq!(client.rtp_sequence_numbers(), (100..110).collect::<Vec<_>>());
}

#[test]
fn a_forged_first_sender_report_does_not_shut_out_authentic_ones() {
    let mut client = RawClient::connected();
    client.send_rtp(&rtp(96, 1, 7, &[1]));
    // An index far ahead, encrypted as it says.
    let mut forged = [&[0x80, 200, 0, 6, 0, 0, 0, 7][..], &[0x33; 36]].concat();
    forged.extend((0x8000_0000_u32 | 1_000_000).to_be_bytes());
    client.input(&forged);
    let report = client.encrypt_rtcp(&[&[0x80, 200, 0, 6, 0, 0, 0, 7][..], &[1; 20]].concat());
    client.input(&report);
    client.input(&report);
    let reports = client.events.iter().filter(|event| {
        matches!(event, PeerEvent::SenderReport { report: SenderReport { ssrc: Ssrc(7), .. }, .. })
    });
    assert_eq!(reports.count(), 1, "{:?}", client.events);
}

#[test]
fn a_replayed_packet_is_reported_once() {
    let mut client = RawClient::connected();
    let packet = client.encrypt(&rtp(96, 9, 7, &[1, 2, 3]));
    for _ in 0..3 {
        client.input(&packet);
    }
    assert_eq!(client.rtp_sequence_numbers(), [9]);
}

#[test]
fn each_cause_of_a_drop_has_its_counter() {
    let mut client = RawClient::new();
    client.start_session();
    client.input(&rtp(96, 9, 7, &[1; 40]));
    client.input(&[0xff; 20]);
    client.input(&[0; 30]);
    assert!(client.shake_hands());
    assert!(client.is_alive(7, 1));
    let handshake = Drops { before_keys: 1, unexpected: 1, stun: 1, ..Drops::default() };
    assert_eq!(client.peer.drops(), handshake, "an honest handshake drops nothing");

    let honest = client.encrypt(&rtp(96, 2, 7, &[1, 2, 3]));
    client.input(&honest);
    client.input(&honest);
    client.input(&[rtp(96, 3, 7, &[0x55; 40]), vec![0; 16]].concat());
    client.send_rtp(&rtp(35, 4, 7, &[1, 2, 3]));
    let of_track = Drops { replayed: 1, not_authentic: 1, unknown_payload_type: 1, ..Drops::default() };
    assert_eq!(client.peer.statistics().tracks[0].1.drops, of_track);

    client.input(&[rtp(96, 3, 8, &[0x55; 40]), vec![0; 16]].concat());
    client.input(&rtp(35, 3, 9, &[0x55; 40]));
    client.input(&[&[0x80, 200, 0, 6][..], &99_u32.to_be_bytes(), &[0x33; 44]].concat());
    client.input(&record(23, 1, 99, &[0; 3]));
    client.input(&[0x80, 96, 0]);
    let expected = Drops {
        replayed: 1,
        not_authentic: 2,
        unknown_payload_type: 1,
        unknown_ssrc: 2,
        dtls: 1,
        malformed: 1,
        ..handshake
    };
    assert_eq!(client.peer.drops(), expected);
}

#[test]
fn a_packet_before_the_handshake_or_of_an_unknown_payload_type_is_dropped() {
    let mut client = half_way();
    client.input(&rtp(96, 9, 7, &[1; 40]));
    assert!(client.shake_hands());
    client.events.clear();
    client.send_rtp(&rtp(35, 9, 7, &[1, 2, 3]));
    assert!(client.events.is_empty());
    client.send_rtp(&rtp(96, 10, 7, &[1, 2, 3]));
    assert_eq!(client.rtp_sequence_numbers(), [10]);
}

#[test]
fn padding_is_delivered_and_probes_are_only_reported_in_the_feedback() {
    let mut client = RawClient::connected();
    let mut padded = rtp_with_transport_cc(96, 10, 7, 1, &[1, 2, 3, 0, 2]);
    padded[0] |= 0x20;
    client.send_rtp(&padded);
    let mut padding = rtp_with_transport_cc(96, 11, 7, 2, &[0, 0, 3]);
    padding[0] |= 0x20;
    client.send_rtp(&padding);
    // RTX: padding alone, a bare sequence number, and a true resend of 8.
    let mut probe = rtp_with_transport_cc(97, 20, 9, 3, &[0, 0, 0, 4]);
    probe[0] |= 0x20;
    client.send_rtp(&probe);
    client.send_rtp(&rtp_with_transport_cc(97, 21, 9, 4, &[0, 10]));
    client.send_rtp(&rtp_with_transport_cc(97, 22, 9, 5, &[0, 8, 7, 7]));
    // A resend of a packet that was received.
    client.send_rtp(&rtp_with_transport_cc(97, 23, 9, 6, &[0, 10, 1, 2, 3]));
    let packets: Vec<_> = client
        .events
        .iter()
        .filter_map(|event| match event {
            PeerEvent::Rtp { packet, .. } => Some((
                packet.ssrc.0,
                packet.payload_type.0,
                packet.sequence_number,
                packet.resent,
                &packet.payload[..],
            )),
            _ => None,
        })
        .collect();
    let expected =
        [(7, 96, 10, false, &[1, 2, 3][..]), (7, 96, 11, false, &[][..]), (7, 96, 8, true, &[7, 7][..])];
    assert_eq!(packets, expected);
    client.received.clear();
    client.advance(Duration::from_millis(150));
    assert!(!client.received.is_empty(), "no feedback");
    let statistics = &client.peer.statistics().tracks[0].1;
    assert_eq!((statistics.packets, statistics.bytes, statistics.resent), (2, 5, 1));
}

#[test]
fn checks_with_wrong_credentials_are_not_answered() {
    let mut client = RawClient::new();
    let offer = client.offer();
    client.peer.accept_offer(&offer, credentials(1), client.now).unwrap();
    let (ours, right) = (credentials(1), "ours1:theirs");
    for (username, password) in [
        (right, "aPasswordOfOursThatIsLongEnough2"),
        ("ours1:others", &ours.password[..]),
        ("ours2:theirs", &ours.password),
        ("ours1", &ours.password),
        ("", &ours.password),
    ] {
        client.input(&binding_request_with(username, password, true, false));
        assert!(client.received.is_empty(), "{username} {password}");
    }
    assert!(!client.peer.is_handshaking());
    client.input(&binding_request_with(right, &ours.password, true, false));
    assert_eq!(client.received.len(), 1);
}
