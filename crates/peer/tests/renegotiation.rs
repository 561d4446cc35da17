//! Changes during a session: sections, directions, addresses, ICE credentials.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::time::Duration;

use peer::{Endpoint, OfferError, PeerEvent, Protocol, TrackId};
use str0m::media::{Direction as MediaDirection, MediaKind as ClientKind, Mid};
use support::{Outgoing, World, address, credentials, payload_type, raw, raw::RawClient};

fn with_video() -> (World, Mid, Outgoing) {
    let mut world = World::new();
    let (mid, _, answer) =
        world.negotiate(|api| api.add_media(ClientKind::Video, MediaDirection::SendOnly, None, None, None));
    world.connect();
    let video =
        Outgoing { mid, rid: None, payload_type: payload_type(&answer.sdp, mid, "VP8"), nackable: true };
    (world, mid, video)
}

/// Sends one packet each 10 ms.
fn send(world: &mut World, stream: &Outgoing, sequences: std::ops::Range<u64>) {
    for sequence in sequences {
        world.write(stream, sequence, (sequence * 900) as u32, 300);
        world.run_for(Duration::from_millis(10));
    }
}

fn received(world: &World, track: TrackId) -> Vec<u16> {
    let mut numbers: Vec<u16> =
        world.rtp().filter(|(of, ..)| *of == track).map(|(_, _, packet)| packet.sequence_number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_track_added_later_gets_the_next_id_and_the_first_continues() {
    let (mut world, mid, video) = with_video();
    send(&mut world, &video, 100..150);
    let ufrag = world.ufrag.clone();
    let (audio_mid, _, answer) =
        world.negotiate(|api| api.add_media(ClientKind::Audio, MediaDirection::SendOnly, None, None, None));
    assert_eq!(answer.ufrag, ufrag, "no restart, no new credentials");
    let audio = Outgoing {
        mid: audio_mid,
        rid: None,
        payload_type: payload_type(&answer.sdp, audio_mid, "opus"),
        nackable: false,
    };
    let tracks = world.tracks();
    assert_eq!(
        tracks.iter().map(|track| (track.id.0, track.mid.clone())).collect::<Vec<_>>(),
        [(0, mid.to_string()), (1, audio_mid.to_string())]
    );
    send(&mut world, &audio, 7..57);
    send(&mut world, &video, 150..200);
    world.run_for(Duration::from_millis(100));
    assert_eq!(received(&world, TrackId(0)), (100..200).collect::<Vec<_>>());
    assert_eq!(received(&world, TrackId(1)), (7..57).collect::<Vec<_>>());
}

#[test]
fn pausing_resuming_and_removing_a_track_are_reported_once_each() {
    let (mut world, mid, video) = with_video();
    send(&mut world, &video, 100..120);
    world.events.clear();
    world.negotiate(|api| api.set_direction(mid, MediaDirection::Inactive));
    world.negotiate(|api| api.add_media(ClientKind::Audio, MediaDirection::Inactive, None, None, None));
    world.negotiate(|api| api.set_direction(mid, MediaDirection::SendOnly));
    assert!(
        matches!(
            world.events_but_rtp()[..],
            [PeerEvent::TrackPaused(TrackId(0)), PeerEvent::TrackResumed(TrackId(0))]
        ),
        "{:?}",
        world.events_but_rtp()
    );
    send(&mut world, &video, 120..150);
    world.run_for(Duration::from_millis(100));
    assert_eq!(received(&world, TrackId(0)), (120..150).collect::<Vec<_>>());
    world.events.clear();
    world.negotiate(|api| api.stop_media(mid));
    assert!(
        matches!(world.events_but_rtp()[..], [PeerEvent::TrackEnded(TrackId(0))]),
        "{:?}",
        world.events_but_rtp()
    );
}

#[test]
fn a_refused_renegotiation_does_not_change_the_session() {
    let mut client = RawClient::connected();
    let offer = client.offer();
    assert!(client.is_alive(7, 1));
    client.events.clear();
    let other_fingerprint = RawClient::new().offer();
    let broken = [
        ("no SDP", "nonsense".to_owned()),
        ("another certificate", other_fingerprint.replace("IN IP4 127", "IN IP4 128")),
        ("other codec", offer.replace("VP8/90000", "H261/90000")),
        ("no ufrag", offer.replace("a=ice-ufrag:theirs\r\n", "")),
        ("passive", offer.replace("setup:actpass", "setup:passive")),
        ("without rtcp-mux", offer.replace("a=rtcp-mux\r\n", "").replace("theirs", "theirs2")),
    ];
    for (what, sdp) in broken {
        let error = client.peer.accept_offer(&sdp, credentials(9), client.now).unwrap_err();
        assert!(
            matches!(error, OfferError::Malformed(_) | OfferError::NoCommonCodec { .. }),
            "{what}: {error}"
        );
        assert_eq!(client.peer.poll_event().map(|event| format!("{event:?}")), None, "{what}");
    }
    let answer = client.peer.accept_offer(&offer, credentials(9), client.now).unwrap();
    assert_eq!(answer.ufrag, credentials(1).ufrag, "the failed restart left nothing");
    assert!(answer.sdp.contains("\r\no=- ") && answer.sdp.contains(" 2 IN IP4"), "the second answer");
    assert!(client.is_alive(7, 2));
}

#[test]
fn an_ice_restart_has_new_credentials_and_the_old_are_valid_until_a_new_path_is_nominated() {
    let (mut world, _, video) = with_video();
    send(&mut world, &video, 100..150);
    let old = world.ufrag.clone();
    world.events.clear();
    let (_, _, answer) = world.negotiate(|api| api.ice_restart(true));
    assert_ne!(answer.ufrag, old);
    assert!(world.events_but_rtp().is_empty(), "the old is valid still");
    // Media continues meanwhile.
    send(&mut world, &video, 150..400);
    world.run_for(Duration::from_millis(500));
    assert_eq!(received(&world, TrackId(0)), (150..400).collect::<Vec<_>>());
    assert!(
        matches!(&world.events_but_rtp()[..], [PeerEvent::UfragRetired(retired)] if *retired == old),
        "{:?}",
        world.events_but_rtp()
    );
    world.run_for(Duration::from_secs(60));
    assert!(world.closed().is_none() && world.client.is_connected(), "{:?}", world.events_but_rtp());
}

#[test]
fn the_old_path_survives_a_restart_that_is_never_completed() {
    let mut client = RawClient::connected();
    let restarted = client.offer().replace("ice-ufrag:theirs", "ice-ufrag:later");
    for generation in 2..8 {
        let sdp = restarted.replace("later", &format!("later{generation}"));
        let answer = client.peer.accept_offer(&sdp, credentials(generation), client.now).unwrap();
        assert_eq!(answer.ufrag, credentials(generation).ufrag);
        client.drain();
        // Checks with the first credentials are answered as long as these aren't retired.
        client.received.clear();
        client.input(&raw::binding_request(true));
        let retired = client
            .events
            .iter()
            .any(|event| matches!(event, PeerEvent::UfragRetired(ufrag) if *ufrag == credentials(1).ufrag));
        assert_eq!(client.received.is_empty(), retired, "generation {generation}");
        assert_eq!(retired, generation > 4);
    }
}

#[test]
fn the_peer_follows_a_client_to_a_new_address_without_losing_a_packet() {
    let (mut world, _, video) = with_video();
    send(&mut world, &video, 100..200);
    // A NAT gives the client another port; what is on its way to the old one is lost.
    world.client_address = address("203.0.113.9:6000");
    send(&mut world, &video, 200..900);
    world.run_for(Duration::from_secs(1));
    assert_eq!(received(&world, TrackId(0)), (100..900).collect::<Vec<_>>());
    let moved = world.events_but_rtp().into_iter().find_map(|event| match event {
        PeerEvent::PathChanged(endpoint) => Some(*endpoint),
        _ => None,
    });
    assert_eq!(moved, Some(Endpoint { protocol: Protocol::Udp, address: address("203.0.113.9:6000") }));
    world.run_for(Duration::from_secs(60));
    assert!(world.closed().is_none() && world.client.is_connected());
}

#[test]
fn a_check_without_nomination_does_not_move_the_path() {
    let mut client = RawClient::connected();
    client.source = address("203.0.113.9:6000");
    client.input(&raw::binding_request(false));
    assert!(client.events.is_empty(), "{:?}", client.events);
    assert_eq!(client.received.len(), 1, "but it is answered");
    client.input(&raw::binding_request(true));
    assert!(matches!(client.events[..], [PeerEvent::PathChanged(_)]), "{:?}", client.events);
}

#[test]
fn bye_pauses_a_track_and_a_packet_resumes_it() {
    let mut client = RawClient::connected();
    client.send_rtp(&raw::rtp(96, 1, 7, &[1]));
    let goodbye = client.encrypt_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 203, 0, 1, 0, 0, 0, 7]);
    client.input(&goodbye);
    client.send_rtp(&raw::rtp(96, 2, 7, &[1]));
    assert!(
        matches!(
            client.events[..],
            [
                PeerEvent::Rtp { .. },
                PeerEvent::TrackPaused(TrackId(0)),
                PeerEvent::TrackResumed(TrackId(0)),
                PeerEvent::Rtp { .. }
            ]
        ),
        "{:?}",
        client.events
    );
}

#[test]
fn a_source_that_returns_after_its_section_was_reused_is_still_decrypted() {
    let mut client = RawClient::connected();
    // Past the wrap, so that a context begun anew would count the wraps wrongly.
    for sequence_number in (65_000..=65_535).chain(0..100) {
        client.send_rtp(&raw::rtp(96, sequence_number, 7, &[1]));
    }
    let offer = client.offer();
    let without = offer.replace("m=video 9", "m=video 0").replace("BUNDLE 0", "BUNDLE 1")
        + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:theirs\r\n\
           a=ice-pwd:0123456789012345678901\r\na=mid:1\r\na=sctp-port:5000\r\n";
    let fingerprint = offer.lines().find(|line| line.starts_with("a=fingerprint")).unwrap();
    let without = without.replace("a=mid:1\r\n", &format!("a=mid:1\r\n{fingerprint}\r\n"));
    client.peer.accept_offer(&without, credentials(2), client.now).unwrap();
    client.drain();
    assert!(matches!(client.events.last(), Some(PeerEvent::TrackEnded(TrackId(0)))));
    client.peer.accept_offer(&offer, credentials(2), client.now).unwrap();
    client.drain();
    assert!(
        matches!(client.events.last(), Some(PeerEvent::TrackAdded(track)) if track.id == TrackId(1)),
        "{:?}",
        client.events.last()
    );
    assert!(client.is_alive(7, 100));
}
