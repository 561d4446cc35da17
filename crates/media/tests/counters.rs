//! Each packet and frame that is dropped is in a counter.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use harness::{
    Harness, ms, packetize,
    script::{opus, vp8},
    sender::{AUDIO, Source, VIDEO, format, opus_track, track, vp8_track},
};
use media::{
    Codec, Input, LayerId, MediaKind, MediaTime, PayloadType, RecorderConfig, RtpTimestamp, TrackId,
    TrackStatistics,
};

fn harness() -> Harness {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    harness
}

fn counters(harness: &Harness, track: TrackId) -> TrackStatistics {
    let tracks = harness.recorder.statistics().tracks;
    tracks.into_iter().find(|(id, _)| *id == track).unwrap().1
}

#[test]
fn dropped_audio_packets_are_counted_by_reason() {
    let mut harness = harness();
    let mut source = Source::opus();
    source.sequence_number = 100;
    let mut packets: Vec<_> =
        (0..10).flat_map(|index| source.frame(ms(20 * index), vec![opus(ms(20 * index))])).collect();
    let late = packets.remove(4);
    for (index, packet) in (0..).zip(&packets) {
        harness.rtp(ms(20 * index), AUDIO, packet.clone());
    }
    harness.rtp(ms(400), AUDIO, packets[3].clone());
    assert_eq!(counters(&harness, AUDIO).duplicates, 1);

    // The hole is given up after a second.
    harness.advance(ms(2_000));
    assert_eq!(counters(&harness, AUDIO).lost, 1);
    harness.rtp(ms(2_000), AUDIO, late);
    let mut packet = packets[3].clone();
    packet.sequence_number = 30_000;
    harness.rtp(ms(2_000), AUDIO, packet.clone());
    packet.sequence_number = 110;
    packet.payload_type = PayloadType(13);
    harness.rtp(ms(2_000), AUDIO, packet);
    let found = counters(&harness, AUDIO);
    assert_eq!((found.late, found.lost, found.out_of_sequence, found.unknown_payload_type), (1, 0, 1, 1));
    assert_eq!(found.packets, 9 + 1 + 1 + 1 + 1);
    assert_eq!(harness.finish().0.tracks[0].frames, 9);
}

#[test]
fn dropped_video_is_counted_by_reason() {
    let mut harness = harness();
    let mut source = Source::vp8();
    let mut send = |harness: &mut Harness, at, payloads| {
        for packet in source.frame(ms(at), payloads) {
            harness.rtp(ms(at), VIDEO, packet);
        }
    };
    send(&mut harness, 0, packetize::vp8(&vp8(ms(0), true, (320, 180)), 0));
    // A payload that ends in its descriptor, and a picture that needs the one before.
    send(&mut harness, 40, vec![vec![0x90]]);
    send(&mut harness, 80, packetize::vp8(&vp8(ms(80), false, (320, 180)), 2));
    let found = counters(&harness, VIDEO);
    assert_eq!((found.packets, found.malformed, found.frames_dropped), (3, 1, 2));
}

#[test]
fn packets_of_a_ninth_layer_are_counted() {
    let mut harness = harness();
    for layer in 0..10_u8 {
        let mut source = Source { ssrc: 10 + u32::from(layer), ..Source::vp8() };
        for packet in source.frame(ms(0), packetize::vp8(&vp8(ms(0), true, (320, 180)), 0)) {
            harness.rtp_layer(ms(u64::from(layer)), VIDEO, LayerId(layer), packet);
        }
    }
    let found = counters(&harness, VIDEO);
    assert_eq!((found.packets, found.excess_layers), (10, 2));
}

#[test]
fn media_of_unknown_tracks_and_formats_is_counted() {
    let mut harness = harness();
    let mut packet = Source::opus().frame(ms(0), vec![opus(ms(0))]).remove(0);
    packet.timestamp = RtpTimestamp(1);
    harness.rtp(ms(0), TrackId(9), packet);
    let at = harness.instant();
    let frame = |track| Input::Frame { track, at, time: MediaTime::ZERO, data: opus(ms(0)).into() };
    harness.input(frame(TrackId(9)));
    assert_eq!(harness.recorder.statistics().unknown_track, 2);

    // Frames with times of their own are audio.
    let screen = TrackId(5);
    harness.add(track(screen, MediaKind::Video, vec![format(96, Codec::Vp8, 90_000, 0)]));
    harness.input(frame(screen));
    assert_eq!(counters(&harness, screen).unknown_payload_type, 1);
}
