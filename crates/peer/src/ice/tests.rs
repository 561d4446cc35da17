use std::time::{Duration, Instant};

use rtc_crypto::{RTCCryptoProvider, providers::RingProvider};
use rtc_stun::{
    attributes::AttrType,
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{BINDING_REQUEST, Message, Setter},
};

use super::*;
use crate::Protocol;

const ICE_CONTROLLED: u16 = 0x8029;
const USE_CANDIDATE: u16 = 0x0025;

struct Attribute(u16, Vec<u8>);

impl Setter for Attribute {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        message.add(AttrType(self.0), &self.1);
        Ok(())
    }
}

fn request(generation: u32, attributes: &[u16]) -> Vec<u8> {
    let provider = RingProvider::new();
    let credentials = credentials(generation);
    let username = format!("{}:theirs{generation}", credentials.ufrag);
    let integrity =
        MessageIntegrity::new_raw_integrity_with_provider(credentials.password.as_bytes(), provider.crypto());
    let mut setters: Vec<Box<dyn Setter + '_>> =
        vec![Box::new(BINDING_REQUEST), Box::new(Attribute(0x0006, username.into_bytes()))];
    for kind in attributes {
        let value = if *kind == USE_CANDIDATE { Vec::new() } else { vec![0; 8] };
        setters.push(Box::new(Attribute(*kind, value)));
    }
    setters.push(Box::new(integrity));
    setters.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    message.build(&setters).unwrap();
    message.raw
}

fn credentials(generation: u32) -> IceCredentials {
    IceCredentials { ufrag: format!("ours{generation}"), password: format!("a password of {generation}") }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint { protocol: Protocol::Udp, address: ([198, 51, 100, 7], port).into() }
}

#[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn clock() -> Instant {
    Instant::now()
}

fn started() -> Ice {
    let mut ice = Ice::new();
    assert_eq!(ice.begin_generation(credentials(1), "theirs1".to_owned()), None);
    ice
}

fn check(ice: &mut Ice, datagram: &[u8], port: u16) -> CheckOutcome {
    let local = ([192, 0, 2, 1], 4000).into();
    ice.handle_check(datagram, endpoint(port), local, clock(), RingProvider::new().crypto())
}

#[test]
fn a_controlled_client_is_answered_487_and_the_path_does_not_change() {
    let mut ice = started();
    let outcome = check(&mut ice, &request(1, &[ICE_CONTROLLED, USE_CANDIDATE]), 1);
    let response = outcome.response.unwrap();
    assert_eq!(response.payload[..2], [0x01, 0x11]);
    assert_eq!((response.destination, response.source), (endpoint(1), Some(([192, 0, 2, 1], 4000).into())));
    assert!(ice.path().is_none() && !ice.is_verified(endpoint(1)) && !outcome.moved);
}

#[test]
fn the_first_check_gives_a_path_and_a_nomination_moves_it() {
    let mut ice = started();
    assert!(check(&mut ice, &request(1, &[]), 1).moved);
    assert!(!check(&mut ice, &request(1, &[]), 2).moved);
    assert_eq!(ice.path().unwrap().remote, endpoint(1));
    assert!(check(&mut ice, &request(1, &[USE_CANDIDATE]), 2).moved);
    assert_eq!(ice.path().unwrap().remote, endpoint(2));
    assert!(!check(&mut ice, &request(1, &[USE_CANDIDATE]), 2).moved, "it is there already");
    assert!(ice.is_verified(endpoint(1)) && ice.is_verified(endpoint(2)) && !ice.is_verified(endpoint(3)));
}

#[test]
fn only_a_nomination_with_the_new_credentials_retires_the_old() {
    let mut ice = started();
    check(&mut ice, &request(1, &[USE_CANDIDATE]), 1);
    assert!(!ice.is_new_generation("theirs1") && ice.is_new_generation("theirs2"));
    ice.begin_generation(credentials(2), "theirs2".to_owned());
    for (generation, attributes) in [(1, &[USE_CANDIDATE][..]), (2, &[])] {
        let outcome = check(&mut ice, &request(generation, attributes), 1);
        assert!(outcome.heard && outcome.retired.is_empty());
    }
    assert_eq!(check(&mut ice, &request(2, &[USE_CANDIDATE]), 1).retired, ["ours1"]);
    assert!(!check(&mut ice, &request(1, &[USE_CANDIDATE]), 1).heard);
}

#[test]
fn verified_addresses_are_bounded_and_the_oldest_is_removed() {
    let mut ice = started();
    for port in 1..=1000 {
        check(&mut ice, &request(1, &[]), port);
        // This one stays in use.
        check(&mut ice, &request(1, &[]), 1);
    }
    assert_eq!(ice.verified.len(), MAX_VERIFIED);
    assert!(
        ice.is_verified(endpoint(1)) && ice.is_verified(endpoint(1000)) && !ice.is_verified(endpoint(900))
    );
}

#[test]
fn presence_changes_only_at_its_deadlines() {
    let mut ice = started();
    let (start, timeouts) = (clock(), TransportTimeouts::default());
    let at = |seconds| start + Duration::from_secs(seconds);
    ice.heard(start);
    assert_eq!(ice.presence_deadline(&timeouts), Some(at(5)));
    assert_eq!(ice.presence_change(at(4), &timeouts), None);
    assert_eq!(ice.presence_change(at(5), &timeouts), Some(Presence::Silent));
    assert_eq!(ice.presence_change(at(6), &timeouts), None);
    assert_eq!(ice.presence_deadline(&timeouts), Some(at(35)));
    ice.heard(at(7));
    assert_eq!(ice.presence_change(at(7), &timeouts), Some(Presence::Heard));
    assert_eq!(ice.presence_change(at(42), &timeouts), Some(Presence::Lost));
    assert_eq!(ice.presence_deadline(&timeouts), None);
}
