//! Datagrams of any kind at a peer whose handshake is under way, and time that goes on between them.
#![no_main]

#[path = "fixture.rs"]
mod fixture;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;

/// (milliseconds before it, the datagram).
type Datagrams = Vec<(u8, Vec<u8>)>;

fuzz_target!(|datagrams: Datagrams| {
    let mut peer = fixture::peer();
    let mut now = *fixture::START;
    peer.accept_offer(fixture::OFFER, fixture::credentials(), now).expect("the offer is good");
    let server = ([192, 0, 2, 1], 4000).into();
    peer.handle_datagram(now, now, fixture::client(), server, &fixture::CHECK);
    assert!(peer.is_handshaking(), "the check is authentic");
    fixture::drain(&mut peer);
    for (milliseconds, datagram) in datagrams {
        now += Duration::from_millis(u64::from(milliseconds));
        peer.handle_datagram(now, now, fixture::client(), server, &datagram);
        peer.handle_timeout(now);
        fixture::drain(&mut peer);
        assert!(peer.poll_timeout().is_none_or(|due| due > now), "the peer would spin");
    }
});
