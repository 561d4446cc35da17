//! What a client sends arrives whole, whatever the network does.

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use peer::{Layer, MediaKind, PeerEvent, TrackId};
use str0m::media::{Direction as MediaDirection, MediaKind as ClientKind};
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
    assert_eq!(tracks[0].formats[0].encoding_name, "VP8");
    assert_eq!((tracks[1].formats[0].channels, tracks[1].formats[0].clock_rate), (2, 48_000));
    let (video_end, audio_end) = send(&mut world, &video, Some(&audio), 10);
    world.run_for(Duration::from_secs(1));
    world.assert_complete(&HashMap::from([
        ((TrackId(0), Layer(0)), 1000..video_end),
        ((TrackId(1), Layer(0)), 2000..audio_end),
    ]));
    for track in [TrackId(0), TrackId(1)] {
        let reports = world.events.iter().filter(
            |(_, event)| matches!(event, PeerEvent::SenderReport { track: of, ntp, .. } if *of == track && *ntp > 0),
        );
        assert!(reports.count() >= 1, "no sender report for {track:?}");
    }
    let statistics = world.peer.statistics();
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
        // The tail has nothing behind it that would show a hole.
        world.network = Box::new(|_, _| true);
        for sequence in end..end + 10 {
            world.write(&video, sequence, 0, 100);
        }
        world.run_for(Duration::from_secs(3));
        let first = world.rtp().map(|(_, _, packet)| u64::from(packet.sequence_number)).min().unwrap();
        world.assert_complete(&HashMap::from([((TrackId(0), Layer(0)), first..end + 10)]));
        let statistics = &world.peer.statistics()[0].1;
        let lost = lost.load(Ordering::Relaxed) as u64;
        assert!(lost > 100, "seed {seed}: only {lost} lost");
        assert!(statistics.nacked <= 2 * lost, "seed {seed}: {} asked for, {lost} lost", statistics.nacked);
        assert_eq!(statistics.lost, 0, "seed {seed}");
    }
}
