//! Any text as an offer, twice: as the first and as a renegotiation.
#![no_main]

#[path = "fixture.rs"]
mod fixture;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|offer: &str| {
    let mut peer = fixture::peer();
    if peer.accept_offer(offer, fixture::credentials(), *fixture::START).is_ok() {
        fixture::drain(&mut peer);
        let again = peer.accept_offer(offer, fixture::credentials(), *fixture::START);
        assert!(again.is_ok(), "an offer that was answered is answered again: {again:?}");
        fixture::drain(&mut peer);
    }
});
