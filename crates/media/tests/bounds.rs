//! Bounds that no input exceeds: waiting, memory, and no panic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::Duration;

use bytes::Bytes;
use harness::{
    Harness, ms, ntp, parse,
    script::{Random, Script, at_rate, opus},
    sender::{AUDIO, Source, VIDEO, format, opus_track, track, vp8_track},
};
use media::{
    Codec, Encoding, Input, LayerId, MediaKind, NtpTime, PayloadType, RecorderConfig, Rotation, RtpPacket,
    RtpTimestamp, Ssrc, TrackId,
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_silent_track_holds_nothing_back_for_longer_than_configured() {
    let config = RecorderConfig::default();
    let mut harness = Harness::new(config.clone());
    harness.add(opus_track());
    harness.add(vp8_track());
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    // Video ends after five seconds.
    script.send_video(&mut video, &at_rate(25, Duration::ZERO, 5 * SECOND), 25, ms(30));
    script.send_audio(&mut audio, Duration::ZERO, 60 * SECOND, ms(30));
    script.play(&mut harness);
    // Fifty packets a second of about 10 bytes: one second of audio is held, with the memory of its queue.
    assert!(harness.most_held < 200_000, "{}", harness.most_held);
    let written = harness.recorder.statistics().position.to_duration();
    assert!(written >= 60 * SECOND - config.interleave_wait - ms(100), "{written:?}");
    // Buffered bytes are returned within `append_age`.
    assert!(harness.disk.appends >= 110, "{}", harness.disk.appends);
}

#[test]
fn a_track_that_never_sends_delays_only_the_beginning() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    let mut audio = Source::opus();
    let mut script = Script::default();
    script.send_audio(&mut audio, Duration::ZERO, 10 * SECOND, ms(30));
    script.reports(AUDIO, &audio, ms(200), 10 * SECOND, SECOND);
    script.play(&mut harness);
    assert!(harness.recorder.statistics().position.to_duration() >= ms(9_900));
    assert_eq!(harness.finish().0.tracks[0].frames, 500);
}

#[test]
fn memory_stays_bounded_at_200_mbit_s_with_a_silent_track_and_holes() {
    let config = RecorderConfig { max_held_bytes: 4 << 20, ..RecorderConfig::default() };
    let mut harness = Harness::new(config.clone());
    harness.add(opus_track());
    harness.add(vp8_track());
    let mut audio = Source::opus();
    for packet in audio.frame(ms(0), vec![opus(ms(0))]) {
        harness.rtp(ms(0), AUDIO, packet);
    }
    let mut video = Source::vp8();
    let payload = Bytes::from(vec![0x5a; 1_200]);
    let mut random = Random::new(1);
    // 21,000 packets a second for five seconds, one of a thousand lost for good.
    for index in 0..105_000_u64 {
        let at = Duration::from_nanos(index * 47_619);
        let frame = index / 700;
        let first = index % 700 == 0;
        let mut payload = payload.to_vec();
        payload[0] = if first { 0x10 } else { 0 };
        if first {
            payload[1..11].copy_from_slice(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
        }
        let packet = video.packet((frame * 3_000) as u32, index % 700 == 699, payload);
        if random.below(1_000) != 0 {
            harness.rtp(at, VIDEO, packet);
        }
    }
    // One picture and one packet may exceed the limit.
    assert!(harness.most_held <= config.max_held_bytes + (1 << 20), "{}", harness.most_held);
    let (summary, bytes) = harness.finish();
    assert!(summary.tracks.iter().any(|track| track.frames > 40), "{summary:?}");
    assert!(!parse::cues(&bytes).is_empty());
}

const ENCODINGS: [(Encoding, u32, u8); 10] = [
    (Encoding::Codec(Codec::Vp8), 90_000, 0),
    (Encoding::Codec(Codec::Vp9), 90_000, 0),
    (Encoding::Codec(Codec::Av1), 90_000, 0),
    (Encoding::Codec(Codec::H264), 90_000, 0),
    (Encoding::Codec(Codec::H265), 90_000, 0),
    (Encoding::Codec(Codec::Opus), 48_000, 2),
    (Encoding::Codec(Codec::Pcmu), 8_000, 1),
    (Encoding::Codec(Codec::Pcma), 8_000, 1),
    (Encoding::Codec(Codec::G722), 8_000, 1),
    (Encoding::Red, 48_000, 2),
];

/// Adds two tracks with every codec as a payload type, from 96 on.
fn add_tracks_of_all_codecs(harness: &mut Harness) {
    let formats: Vec<_> = (96..)
        .zip(ENCODINGS)
        .map(|(pt, (encoding, rate, channels))| format(pt, encoding, rate, channels))
        .collect();
    harness.add(track(AUDIO, MediaKind::Audio, formats.clone()));
    harness.add(track(VIDEO, MediaKind::Video, formats));
}

fn any_packet() -> impl Strategy<Value = (u8, u8, RtpPacket)> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        // Valid beginnings in each format.
        (
            prop::sample::select(vec![
                &[0x10_u8, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0][..],
                &[0x0c, 0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0],
                &[0x18, 0x0a, 0x0b, 0, 0, 0],
                &[
                    24, 0, 14, 0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84,
                    0x6a
                ],
                &[0x7c, 0x85, 0x88],
                &[0x62, 1, 0x93, 0x80],
                &[0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5d, 0xa0],
                &[0xe5, 0x0f, 0x00, 0x02, 101],
            ]),
            prop::collection::vec(any::<u8>(), 0..30)
        )
            .prop_map(|(head, tail)| [head, &tail[..]].concat()),
    ];
    let numbers = (any::<u8>(), 0..3_u32, 90..108_u8, any::<bool>());
    let rotation = prop::sample::select(vec![None, Some(Rotation::Clockwise90), Some(Rotation::UpsideDown)]);
    (
        numbers,
        prop_oneof![0..40_u16, any::<u16>()],
        prop_oneof![0..100_000_u32, any::<u32>()],
        rotation,
        payload,
    )
        .prop_map(
            |((layer, ssrc, payload_type, marker), sequence_number, timestamp, rotation, payload)| {
                let packet = RtpPacket {
                    ssrc: Ssrc(ssrc),
                    payload_type: PayloadType(payload_type),
                    sequence_number,
                    timestamp: RtpTimestamp(timestamp),
                    marker,
                    rotation,
                    resent: false,
                    payload: Bytes::from(payload),
                };
                (layer % 3, layer / 128, packet)
            },
        )
}

#[derive(Debug, Clone)]
enum Step {
    Packet(u16, u8, u8, RtpPacket),
    Report(u16, u8, u64, u32),
    Wait(u16),
    End(u8),
    Add(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..50_u16, any_packet()).prop_map(|(wait, (layer, track, packet))| Step::Packet(wait, layer, track, packet)),
        2 => (0..50_u16, any::<u8>(), any::<u64>(), any::<u32>()).prop_map(|(wait, layer, wall, rtp)| Step::Report(wait, layer, wall, rtp)),
        2 => any::<u16>().prop_map(Step::Wait),
        1 => (0..3_u8).prop_map(Step::End),
        1 => (0..3_u8).prop_map(Step::Add),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_makes_the_recorder_panic_or_write_a_broken_file(steps in prop::collection::vec(any_step(), 1..120)) {
        let config = RecorderConfig { max_held_bytes: 20_000, append_bytes: 3_000, ..RecorderConfig::default() };
        let mut harness = Harness::new(config);
        add_tracks_of_all_codecs(&mut harness);
        for step in steps {
            match step {
                Step::Packet(wait, layer, track, packet) => {
                    let at = harness.now + ms(u64::from(wait));
                    harness.rtp_layer(at, TrackId(u32::from(track)), LayerId(layer), packet);
                }
                Step::Report(wait, layer, wall, rtp) => {
                    let at = harness.now + ms(u64::from(wait));
                    let ssrc = u32::from(layer % 3);
                    harness.report_layer(at, TrackId(u32::from(layer / 128)), LayerId(layer % 3), ssrc, NtpTime(wall), rtp);
                }
                Step::Wait(milliseconds) => harness.advance(harness.now + ms(u64::from(milliseconds))),
                Step::End(track) => {
                    let at = harness.instant();
                    harness.input(Input::EndTrack { track: TrackId(u32::from(track)), at });
                }
                Step::Add(number) => {
                    let config = track(TrackId(u32::from(number)), MediaKind::Video, vec![format(96, Codec::Vp8, 90_000, 0)]);
                    harness.add(config);
                }
            }
        }
        let (summary, bytes) = harness.finish();
        prop_assert_eq!(summary.bytes, bytes.len() as u64);
        if summary.container.is_some() {
            let blocks = parse::blocks(&bytes);
            prop_assert_eq!(blocks.len() as u64, summary.tracks.iter().map(|track| track.frames).sum::<u64>());
            prop_assert!(blocks.iter().all(|block| block.time >= 0));
            for number in 1..=summary.tracks.len() {
                let times: Vec<_> = blocks.iter().filter(|block| usize::from(block.track) == number).map(|block| block.time).collect();
                prop_assert!(times.is_sorted(), "{:?}", times);
            }
            prop_assert!(summary.duration <= harness.now + Duration::from_secs(30));
        }
    }
}

#[test]
fn a_timeout_is_requested_whenever_something_waits() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    let mut audio = Source::opus();
    let packets = audio.frame(ms(0), vec![opus(ms(0))]);
    for packet in packets {
        harness.rtp(ms(0), AUDIO, packet);
    }
    let report = (ntp(ms(0)), audio.timestamp(ms(0)));
    harness.report(ms(10), AUDIO, audio.ssrc, report.0, report.1);
    // Without further input the frame is written and returned within `append_age`.
    harness.advance(3 * SECOND);
    assert!(!harness.disk.bytes.is_empty());
    assert_eq!(harness.recorder.statistics().held_bytes, 0);
}
