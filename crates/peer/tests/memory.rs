//! The memory of a connected peer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::{sync::Arc, time::Duration};

use peer::Environment;
use str0m::media::{Direction as MediaDirection, MediaKind as ClientKind};
use support::{World, config};

/// Bytes that malloc has allocated in the process, libssl's included. This binary has one test.
#[allow(unsafe_code, reason = "mallinfo2 is a C function")]
fn malloc_bytes() -> usize {
    // SAFETY: the function takes nothing and returns a plain struct.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

#[test]
fn a_connected_peer_holds_less_than_100_kb() {
    let environment = Arc::new(Environment::new().unwrap());
    let peers: Vec<_> = (0..20)
        .map(|_| {
            let mut world = World::with_environment(Arc::clone(&environment), config(), |client| client);
            let (mid, _, answer) = world.negotiate(|api| {
                api.add_media(ClientKind::Video, MediaDirection::SendOnly, None, None, None)
            });
            world.connect();
            let video = support::Outgoing {
                mid,
                rid: None,
                payload_type: support::payload_type(&answer.sdp, mid, "VP8"),
                nackable: true,
            };
            for sequence in 0..100 {
                world.write(&video, sequence, 0, 1000);
                world.run_for(Duration::from_millis(5));
            }
            world.run_for(Duration::from_millis(100));
            assert_eq!(world.rtp().count(), 100);
            world.peer
        })
        .collect();
    let with = malloc_bytes();
    let count = peers.len();
    drop(peers);
    let each = (with - malloc_bytes()) / count;
    assert!((10_000..100_000).contains(&each), "{each} bytes");
}
