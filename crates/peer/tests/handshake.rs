//! DTLS connects under loss and with every kind of client, and ends with close_notify or a time-out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use peer::{CloseReason, Environment, PeerEvent};
use str0m::media::{Direction as MediaDirection, MediaKind as ClientKind};
use support::{
    Direction, Random, World, config, credentials, is_dtls,
    raw::{Certificate, RawClient},
};

fn offered(environment: &Arc<Environment>) -> World {
    let mut world = World::with_environment(Arc::clone(environment), config(), |client| client);
    world.negotiate(|api| api.add_media(ClientKind::Video, MediaDirection::SendOnly, None, None, None));
    world
}

#[test]
fn ten_percent_loss_each_way_never_prevents_a_connection() {
    let environment = Arc::new(Environment::new().unwrap());
    let mut slowest = Duration::ZERO;
    for seed in 0..100 {
        let mut world = offered(&environment);
        let mut random = Random::new(seed + 1);
        world.network = Box::new(move |_, _| !random.chance(10.0));
        world.connect();
        slowest = slowest.max(world.now - world.start);
    }
    assert!(slowest < Duration::from_secs(15), "the slowest took {slowest:?}");
}

#[test]
fn thirty_percent_loss_connects_nearly_always() {
    let environment = Arc::new(Environment::new().unwrap());
    let connected = (0..40).filter(|seed| {
        let mut world = offered(&environment);
        let mut random = Random::new(seed + 1000);
        world.network = Box::new(move |_, _| !random.chance(30.0));
        let end = world.now + Duration::from_secs(30);
        while world.now < end && !(world.is_connected() && world.client.is_connected()) {
            world.step(end);
        }
        world.is_connected() && world.client.is_connected()
    });
    let connected = connected.count();
    assert!(connected >= 36, "{connected} of 40");
}

#[test]
fn losing_any_one_datagram_of_the_handshake_costs_less_than_two_seconds() {
    let environment = Arc::new(Environment::new().unwrap());
    for direction in [Direction::Up, Direction::Down] {
        for lost in 0..10 {
            let mut world = offered(&environment);
            let mut number = 0;
            world.network = Box::new(move |of, bytes| {
                if of != direction || !is_dtls(bytes) {
                    return true;
                }
                number += 1;
                number != lost + 1
            });
            world.run_until(Duration::from_secs(2), |world| {
                world.is_connected() && world.client.is_connected()
            });
        }
    }
}

#[test]
fn losing_any_two_datagrams_of_the_handshake_prevents_nothing() {
    let environment = Arc::new(Environment::new().unwrap());
    for first in 0..8 {
        for second in first + 1..9 {
            let mut world = offered(&environment);
            let mut number = 0;
            world.network = Box::new(move |_, bytes| {
                if !is_dtls(bytes) {
                    return true;
                }
                number += 1;
                number != first + 1 && number != second + 1
            });
            world.connect();
        }
    }
}

#[test]
fn a_lost_final_flight_is_resent_without_a_request() {
    let environment = Arc::new(Environment::new().unwrap());
    let mut world = offered(&environment);
    let finals = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&finals);
    world.network = Box::new(move |direction, bytes| {
        // The flight with our ChangeCipherSpec, lost twice.
        let ours = direction == Direction::Down && bytes.first() == Some(&20);
        !ours || counter.fetch_add(1, Ordering::Relaxed) >= 2
    });
    world.run_until(Duration::from_secs(10), |world| world.is_connected());
    let up = world.now;
    world.run_until(Duration::from_secs(10), |world| world.client.is_connected());
    assert!(world.now - up < Duration::from_millis(400), "took {:?}", world.now - up);
    assert!(finals.load(Ordering::Relaxed) >= 3, "the final flight wasn't lost twice");
}

#[test]
fn clients_with_rsa_and_ecdsa_certificates_and_each_srtp_profile_connect() {
    for certificate in [Certificate::Ecdsa, Certificate::Rsa] {
        for (offered, chosen) in [
            ("SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM"),
            ("SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_256_GCM"),
            ("SRTP_AES128_CM_SHA1_80", "SRTP_AES128_CM_HMAC_SHA1_80"),
            // The order of our list decides.
            ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM"),
        ] {
            let mut client = RawClient::with(certificate, offered, config());
            client.start_session();
            assert!(client.shake_hands(), "{certificate:?} {offered}: {:?}", client.events);
            let profile = client.events.iter().find_map(|event| match event {
                PeerEvent::Connected { srtp_profile, cipher, .. } => {
                    assert!(cipher.contains("GCM"), "{cipher}");
                    Some(*srtp_profile)
                }
                _ => None,
            });
            assert_eq!(profile, Some(chosen), "{certificate:?} {offered}");
            assert!(client.is_alive(7, 100), "{certificate:?} {offered}");
        }
    }
}

#[test]
fn a_certificate_that_the_offer_does_not_name_is_refused() {
    let mut client = RawClient::new();
    let other = RawClient::new();
    client.peer.accept_offer(&other.offer(), credentials(1), client.now).unwrap();
    client.input(&support::raw::binding_request(true));
    assert!(!client.shake_hands());
    let closed = client.events.iter().find_map(|event| match event {
        PeerEvent::Closed(CloseReason::Dtls(reason)) => Some(reason.as_str()),
        _ => None,
    });
    assert_eq!(closed, Some("the client's certificate isn't the one of its offer"));
    assert!(client.peer.is_closed());
}

#[test]
fn a_client_that_offers_no_srtp_is_refused_media() {
    let mut client = RawClient::with(Certificate::Ecdsa, "", config());
    client.start_session();
    client.shake_hands();
    assert!(
        matches!(client.events.last(), Some(PeerEvent::Closed(CloseReason::Dtls(reason))) if reason.contains("SRTP")),
        "{:?}",
        client.events
    );
}

#[test]
fn a_client_that_never_connects_is_closed_after_30_s() {
    let mut client = RawClient::new();
    let offer = client.offer();
    client.peer.accept_offer(&offer, credentials(1), client.now).unwrap();
    client.advance(Duration::from_millis(29_999));
    assert!(!client.peer.is_closed());
    client.advance(Duration::from_millis(1));
    assert!(matches!(client.events.last(), Some(PeerEvent::Closed(CloseReason::ConnectTimeout))));
    assert_eq!(client.peer.poll_timeout(), None);
}

#[test]
fn dtls_is_handled_only_from_an_address_that_passed_a_check() {
    let mut client = RawClient::new();
    let offer = client.offer();
    client.peer.accept_offer(&offer, credentials(1), client.now).unwrap();
    client.exchange();
    assert!(client.tls.get_ref().incoming.is_empty(), "an answer to an unauthenticated address");
    assert!(!client.peer.is_handshaking());
    client.input(&support::raw::binding_request(true));
    assert!(client.peer.is_handshaking());
}

#[test]
fn close_notify_goes_both_ways() {
    let mut client = RawClient::connected();
    client.peer.close(client.now);
    client.drain();
    assert!(matches!(client.events[..], [PeerEvent::Closed(CloseReason::Local)]), "{:?}", client.events);
    let close_notify = client.received.pop().unwrap();
    client.tls.get_mut().incoming.push_back(close_notify);
    let read = client.tls.ssl_read(&mut [0; 10]).unwrap_err();
    assert_eq!(read.code(), openssl::ssl::ErrorCode::ZERO_RETURN);

    let mut client = RawClient::connected();
    let _ = client.tls.shutdown();
    client.exchange();
    assert!(matches!(client.events[..], [PeerEvent::Closed(CloseReason::Remote)]), "{:?}", client.events);
    assert!(client.peer.is_closed());
}

#[test]
fn silence_is_reported_and_then_ends_the_session() {
    let mut client = RawClient::connected();
    client.advance(Duration::from_millis(4999));
    assert!(client.events.is_empty(), "{:?}", client.events);
    client.advance(Duration::from_millis(1));
    assert!(matches!(client.events[..], [PeerEvent::Disconnected]), "{:?}", client.events);
    client.advance(Duration::from_secs(20));
    client.send_rtp(&support::raw::rtp(96, 1, 7, &[1]));
    assert!(
        matches!(client.events[..], [PeerEvent::Disconnected, PeerEvent::Rtp { .. }, PeerEvent::Reconnected]),
        "{:?}",
        client.events
    );
    client.events.clear();
    client.advance(Duration::from_secs(35));
    assert!(
        matches!(client.events[..], [PeerEvent::Disconnected, PeerEvent::Closed(CloseReason::IceFailed)]),
        "{:?}",
        client.events
    );
}
