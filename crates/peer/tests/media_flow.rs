//! Media arrives complete under loss and reordering, and the feedback is what the client needs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use peer::{Codec, LayerId, MediaKind, PeerEvent, TrackId};
use str0m::media::{Direction as MediaDirection, MediaKind as ClientKind, Simulcast, SimulcastLayer};
use support::{Direction, Outgoing, Random, World, is_rtp, payload_type};

/// Connects with a video and an audio section.
fn connected(world: &mut World) -> (Outgoing, Outgoing) {
    let ((video, audio), _, answer) = world.negotiate(|api| {
        let video = api.add_media(ClientKind::Video, MediaDirection::SendOnly, None, None, None);
        (video, api.add_media(ClientKind::Audio, MediaDirection::SendOnly, None, None, None))
    });
    world.connect();
    let outgoing = |mid, encoding, nackable| Outgoing {
        mid,
        rid: None,
        payload_type: payload_type(&answer.sdp, mid, encoding),
        nackable,
    };
    (outgoing(video, "VP8", true), outgoing(audio, "opus", false))
}

/// 30 frames a second of five packets each, and Opus every 20 ms.
fn send(world: &mut World, video: &Outgoing, audio: Option<&Outgoing>, seconds: u64) -> (u64, u64) {
    let (mut video_sequence, mut audio_sequence) = (1000, 2000);
    for frame in 0..seconds * 30 {
        for _ in 0..5 {
            world.write(video, video_sequence, (frame * 3000) as u32, 1000);
            video_sequence += 1;
        }
        if let Some(audio) = audio {
            world.write(audio, audio_sequence, (frame * 1600) as u32, 100);
            audio_sequence += 1;
        }
        world.run_for(Duration::from_millis(33));
    }
    (video_sequence, audio_sequence)
}

#[test]
fn vp8_and_opus_arrive_whole_with_sender_reports() {
    let mut world = World::new();
    let (video, audio) = connected(&mut world);
    let tracks = world.tracks();
    assert_eq!(tracks.len(), 2);
    assert_eq!((tracks[0].kind, tracks[1].kind), (MediaKind::Video, MediaKind::Audio));
    assert_eq!(tracks[0].formats[0].encoding, Codec::Vp8.into());
    assert_eq!((tracks[1].formats[0].channels, tracks[1].formats[0].clock_rate), (2, 48_000));
    let (video_end, audio_end) = send(&mut world, &video, Some(&audio), 10);
    world.run_for(Duration::from_secs(1));
    world.assert_complete(&HashMap::from([
        ((TrackId(0), LayerId(0)), 1000..video_end),
        ((TrackId(1), LayerId(0)), 2000..audio_end),
    ]));
    for track in [TrackId(0), TrackId(1)] {
        let reports = world.events.iter().filter(
            |(_, event)| matches!(event, PeerEvent::SenderReport { track: of, report, .. } if *of == track && report.ntp.0 > 0),
        );
        assert!(reports.count() >= 1, "no sender report for {track:?}");
    }
    let statistics = world.peer.statistics().tracks;
    assert_eq!(statistics[0].1.packets, video_end - 1000);
    assert_eq!((statistics[0].1.nacked, statistics[0].1.lost), (0, 0));
}

#[test]
fn five_percent_loss_costs_no_packet_and_few_resends() {
    for seed in 1..=5 {
        let mut world = World::new();
        let (video, _) = connected(&mut world);
        let mut random = Random::new(seed);
        let lost = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&lost);
        world.network = Box::new(move |direction, bytes| {
            // The first packets pass, so that the test knows where the stream begins.
            let drop = random.chance(5.0);
            if drop && direction == Direction::Up && is_rtp(bytes) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            !drop
        });
        let (end, _) = send(&mut world, &video, None, 20);
        // A loss of the last packets could not be seen: no packet follows.
        world.network = Box::new(|_, _| true);
        for sequence in end..end + 10 {
            world.write(&video, sequence, 0, 100);
        }
        world.run_for(Duration::from_secs(3));
        let first = world.rtp().map(|(_, _, packet)| u64::from(packet.sequence_number)).min().unwrap();
        world.assert_complete(&HashMap::from([((TrackId(0), LayerId(0)), first..end + 10)]));
        let statistics = &world.peer.statistics().tracks[0].1;
        let lost = lost.load(Ordering::Relaxed) as u64;
        assert!(lost > 100, "seed {seed}: only {lost} lost");
        assert!(statistics.nacked <= 2 * lost, "seed {seed}: {} asked for, {lost} lost", statistics.nacked);
        assert_eq!(statistics.lost, 0, "seed {seed}");
    }
}

/// Three layers of a camera, each a source of its own.
fn simulcast(world: &mut World) -> Vec<Outgoing> {
    let (mid, _, answer) = world.negotiate(|api| {
        let mut simulcast = Simulcast::new();
        for rid in ["h", "m", "l"] {
            simulcast.add_send_layer(SimulcastLayer::new(rid));
        }
        api.add_media(ClientKind::Video, MediaDirection::SendOnly, None, None, Some(simulcast))
    });
    assert!(answer.sdp.contains("a=simulcast:recv h;m;l\r\n"), "{}", answer.sdp);
    world.connect();
    let payload_type = payload_type(&answer.sdp, mid, "VP8");
    ["h", "m", "l"].map(|rid| Outgoing { mid, rid: Some(rid.into()), payload_type, nackable: true }).into()
}

#[test]
fn three_simulcast_layers_under_loss_lose_no_packet() {
    for seed in 1..=3 {
        let mut world = World::new();
        let layers = simulcast(&mut world);
        assert_eq!(world.tracks()[0].rids, ["h", "m", "l"]);
        let mut random = Random::new(seed + 100);
        world.network = Box::new(move |_, _| !random.chance(5.0));
        for frame in 0..300_u32 {
            for (layer, outgoing) in layers.iter().enumerate() {
                for packet in 0..3 - layer as u64 {
                    world.write(outgoing, u64::from(100 + frame) * 3 + packet, frame * 3000, 900);
                }
            }
            world.run_for(Duration::from_millis(33));
        }
        world.network = Box::new(|_, _| true);
        world.run_for(Duration::from_secs(1));
        // Layers 1 and 2 leave gaps in their numbers, which the peer asks for in vain; layer 0 leaves none.
        let mut seen: HashMap<LayerId, Vec<u16>> = HashMap::new();
        for (_, layer, packet) in world.rtp() {
            seen.entry(layer).or_default().push(packet.sequence_number);
        }
        for (layer, sent_per_frame) in [(LayerId(0), 3), (LayerId(1), 2), (LayerId(2), 1)] {
            let numbers = seen.get_mut(&layer).unwrap();
            numbers.sort_unstable();
            let all = numbers.len();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "seed {seed}: duplicates in {layer:?}");
            let first = u64::from(numbers[0]);
            let last = u64::from(*numbers.last().unwrap());
            let expected: Vec<u16> = (first..=last)
                .filter(|number| number % 3 < sent_per_frame)
                .map(|number| number as u16)
                .collect();
            assert_eq!(*numbers, expected, "seed {seed}: {layer:?}");
            assert!(
                expected.len() as u64 > 290 * sent_per_frame,
                "seed {seed}: {layer:?} {}",
                expected.len()
            );
        }
    }
}

#[test]
fn the_clients_bandwidth_estimate_rises_by_our_feedback() {
    let mut world =
        World::with(support::config(), |client| client.enable_bwe(Some(str0m::bwe::Bitrate::kbps(300))));
    let (video, _) = connected(&mut world);
    world.client.bwe().set_bitrate(str0m::bwe::Bitrate::ZERO, str0m::bwe::Bitrate::mbps(5));
    let mut sequence = 1000;
    for frame in 0..300_u32 {
        let estimate = estimates(&world).last().copied().unwrap_or(300_000.0);
        // As an encoder would: as much as the estimate allows.
        let packets = (estimate / 30.0 / 8.0 / 1000.0).ceil().min(20.0) as usize;
        for _ in 0..packets.max(1) {
            world.write(&video, sequence, frame * 3000, 1000);
            sequence += 1;
        }
        world.run_for(Duration::from_millis(33));
    }
    let last = estimates(&world).last().copied().unwrap_or(0.0);
    assert!(last > 2_000_000.0, "{last} bit/s");
}

fn estimates(world: &World) -> Vec<f64> {
    world
        .client_events
        .iter()
        .filter_map(|event| match event {
            str0m::Event::EgressBitrateEstimate(str0m::bwe::BweKind::Twcc { estimate, .. }) => {
                Some(estimate.as_f64())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn reordering_alone_causes_no_request() {
    let mut world = World::new();
    let (video, _) = connected(&mut world);
    // Every fifth packet overtakes nobody but is overtaken by 5 ms.
    let mut order: Vec<u64> = (1000..1500).collect();
    order.chunks_mut(5).for_each(|chunk| chunk.swap(0, 4));
    for (place, sequence) in order.iter().enumerate() {
        world.write(&video, *sequence, 0, 200);
        if place % 5 == 4 {
            world.run_for(Duration::from_millis(5));
        }
    }
    world.run_for(Duration::from_secs(1));
    let statistics = &world.peer.statistics().tracks[0].1;
    assert_eq!((statistics.packets, statistics.nacked), (500, 0));
}

#[test]
fn keyframe_requests_reach_the_client_at_a_limited_rate() {
    let mut world = World::new();
    let (video, _) = connected(&mut world);
    world.write(&video, 1000, 0, 200);
    world.run_for(Duration::from_millis(100));
    for _ in 0..20 {
        world.peer.request_keyframe(TrackId(0), LayerId(0), world.now);
        world.drain();
        world.run_for(Duration::from_millis(50));
    }
    world.run_for(Duration::from_secs(1));
    let requests =
        world.client_events.iter().filter(|event| matches!(event, str0m::Event::KeyframeRequest(_))).count();
    assert_eq!(requests, 3);
    assert_eq!(world.peer.statistics().tracks[0].1.plis, 3);
}

#[test]
fn requests_end_after_a_long_outage() {
    let mut world = World::new();
    let (video, _) = connected(&mut world);
    for sequence in 1000..1010 {
        world.write(&video, sequence, 0, 200);
    }
    world.run_for(Duration::from_millis(50));
    // Nothing of these comes, and their resends don't either.
    world.network = Box::new(|direction, bytes| direction == Direction::Down || !is_rtp(bytes));
    for sequence in 1010..1060 {
        world.write(&video, sequence, 0, 200);
    }
    world.network =
        Box::new(|direction, bytes| direction == Direction::Down || !is_rtp(bytes) || bytes[1] & 0x7f == 96);
    let statistics = |world: &World| world.peer.statistics().tracks[0].1.clone();
    for sequence in 1060..1070 {
        world.write(&video, sequence, 0, 200);
    }
    world.run_for(Duration::from_secs(10));
    assert_eq!(statistics(&world).lost, 50);
    assert!(statistics(&world).nacked <= 50 * 12, "{:?}", statistics(&world));
}
