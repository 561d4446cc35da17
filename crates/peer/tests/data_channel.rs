//! Data channels: messages arrive whole, with their label, and memory is bounded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::time::Duration;

use peer::PeerEvent;
use str0m::{
    channel::ChannelId,
    media::{Direction as MediaDirection, MediaKind as ClientKind},
};
use support::{Random, World};

fn open(world: &mut World, media: bool) -> ChannelId {
    let (id, _, answer) = world.negotiate(|api| {
        if media {
            api.add_media(ClientKind::Video, MediaDirection::SendOnly, None, None, None);
        }
        api.add_channel("notes".to_owned())
    });
    assert!(answer.sdp.contains("a=sctp-port:5000\r\na=max-message-size:262144\r\n"), "{}", answer.sdp);
    world.connect();
    world.run_until(Duration::from_secs(10), |world| {
        world.client_events.iter().any(|event| matches!(event, str0m::Event::ChannelOpen(of, _) if *of == id))
    });
    id
}

fn messages(world: &World) -> Vec<(&str, bool, &[u8])> {
    world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            PeerEvent::DataMessage { label, binary, payload, .. } => {
                Some((&label[..], *binary, &payload[..]))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn messages_arrive_whole_with_their_label() {
    for media in [true, false] {
        let mut world = World::new();
        let id = open(&mut world, media);
        let large = vec![7; 100_000];
        assert!(world.client.channel(id).unwrap().write(false, b"hello").unwrap());
        assert!(world.client.channel(id).unwrap().write(true, &[0, 255]).unwrap());
        assert!(world.client.channel(id).unwrap().write(true, &large).unwrap());
        world.drain();
        world.run_for(Duration::from_secs(5));
        assert_eq!(
            messages(&world),
            [("notes", false, &b"hello"[..]), ("notes", true, &[0, 255]), ("notes", true, &large)]
        );
    }
}

#[test]
fn messages_survive_loss() {
    let mut world = World::new();
    let mut random = Random::new(3);
    world.network = Box::new(move |_, _| !random.chance(10.0));
    let id = open(&mut world, true);
    for number in 0..100_u32 {
        assert!(world.client.channel(id).unwrap().write(true, &number.to_be_bytes().repeat(500)).unwrap());
        world.drain();
        world.run_for(Duration::from_millis(50));
    }
    world.run_for(Duration::from_secs(30));
    let numbers: Vec<u32> = messages(&world)
        .iter()
        .map(|message| u32::from_be_bytes(message.2[..4].try_into().unwrap()))
        .collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_channel_ends_when_the_client_closes_it() {
    let mut world = World::new();
    let id = open(&mut world, true);
    world.client.direct_api().close_data_channel(id);
    world.client_input(str0m::Input::Timeout(world.now));
    world.drain();
    world.run_until(Duration::from_secs(10), |world| {
        world.client_events.iter().any(|event| matches!(event, str0m::Event::ChannelClose(of) if *of == id))
    });
    assert!(world.closed().is_none());
}
