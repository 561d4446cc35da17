//! Loss, reordering and duplicates.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::Duration;

use harness::{
    Harness, coded, ms, packetize, parse,
    player::OnDisk,
    script::{Event, Random, Script, at_rate, lateness, opus, send_coded_audio, send_coded_video},
    sender::{AUDIO, Source, VIDEO, format, opus_track, track, vp8_track},
};
use media::{Codec, Encoding, KeyframeReason, MediaKind, PayloadType, RecorderConfig};

const SECOND: Duration = Duration::from_secs(1);

fn harness() -> Harness {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    harness
}

fn call() -> Script {
    let mut script = Script::default();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    send_coded_video(&mut script, &mut video, coded::vp8(), ms(30));
    send_coded_audio(&mut script, &mut audio, &coded::opus()[..500], ms(30));
    script.reports(VIDEO, &video, ms(300), 10 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(400), 10 * SECOND, SECOND);
    script.0.sort_by_key(|(arrival, _)| *arrival);
    script
}

fn is_rtp(event: &Event) -> bool {
    matches!(event, Event::Rtp(..))
}

#[test]
fn after_an_unrepaired_hole_the_file_contains_only_frames_that_decode() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let mut script = call();
        // 5 % in bursts of four.
        let mut burst = 0;
        script.0.retain(|(_, event)| {
            if is_rtp(event) && burst == 0 && random.below(80) == 0 {
                burst = 4;
            }
            burst -= if is_rtp(event) { i32::min(burst, 1) } else { 0 };
            !(is_rtp(event) && burst > 0)
        });
        let mut harness = harness();
        script.play(&mut harness);
        let statistics = harness.recorder.statistics();
        let (summary, bytes) = harness.finish();
        OnDisk::new(&bytes, "webm").decodes_clean();
        let [audio, video] = &summary.tracks[..] else { panic!("{summary:?}") };
        assert!(video.frames > 25 && video.frames < 245, "{seed}: {}", video.frames);
        assert!(audio.frames > 440, "{seed}: audio went on: {}", audio.frames);
        assert!(video.packets_lost > 0);
        assert!(statistics.tracks[1].1.frames_dropped > 0);
        assert!(
            harness
                .keyframes
                .iter()
                .any(|(_, track, _, reason)| *track == VIDEO && *reason == KeyframeReason::Loss)
        );
    }
}

#[test]
fn a_keyframe_is_requested_when_a_hole_is_given_up_and_repeatedly_until_it_arrives() {
    let mut harness = harness();
    let mut video = Source::vp8();
    let mut script = Script::default();
    // The only keyframe is the first frame.
    script.send_video(&mut video, &at_rate(25, Duration::ZERO, 5 * SECOND), 1_000, Duration::ZERO);
    script.0.remove(25);
    script.play(&mut harness);
    // Frame 25 is missing when 26 arrives, and given up one second later.
    let requests: Vec<_> = harness.keyframes.iter().map(|(at, ..)| at.as_millis()).collect();
    assert_eq!(requests[0], 1_040 + 1_000);
    let intervals = requests.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
    assert!(
        intervals.iter().all(|interval| (500..=560).contains(interval)) && intervals.len() >= 4,
        "{intervals:?}"
    );
    let (summary, _) = harness.finish();
    assert_eq!(summary.tracks[0].frames, 25);
}

#[test]
fn with_resends_5_percent_of_loss_costs_no_frame() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let mut script = call();
        // Not the first packets of a source, which no receiver can know to be missing.
        for (arrival, event) in script.0.iter_mut().skip(20) {
            if is_rtp(event) && random.below(20) == 0 {
                // Up to three resends.
                *arrival += ms(60 + 250 * random.below(4));
            }
        }
        let mut harness = harness();
        script.play(&mut harness);
        let (summary, bytes) = harness.finish();
        let frames: Vec<_> = summary.tracks.iter().map(|track| (track.frames, track.packets_lost)).collect();
        assert_eq!(frames, [(500, 0), (250, 0)]);
        OnDisk::new(&bytes, "webm").decodes_clean();
    }
}

#[test]
fn a_lossless_call_is_recorded_byte_for_byte_up_to_its_last_frames() {
    let mut harness = harness();
    call().play(&mut harness);
    let (summary, bytes) = harness.finish();
    let blocks = parse::blocks(&bytes);
    let of = |number| blocks.iter().filter(move |block| block.track == number).map(|block| &block.data);
    assert!(of(1).eq(&coded::opus()[..500]));
    assert!(of(2).eq(coded::vp8()));
    assert_eq!(summary.bytes, bytes.len() as u64);
}

#[test]
fn reordered_and_duplicate_packets_change_nothing() {
    let reference = {
        let mut harness = harness();
        call().play(&mut harness);
        harness.finish().1
    };
    let mut random = Random::new(3);
    let mut script = call();
    let copies: Vec<_> = script.0.iter().filter(|(_, event)| is_rtp(event)).cloned().collect();
    script
        .0
        .extend(copies.into_iter().filter(|_| random.below(10) == 0).map(|(at, event)| (at + ms(15), event)));
    // Not the first packets: a recording begins with the first packet that arrives.
    for (arrival, event) in script.0.iter_mut().skip(20) {
        if is_rtp(event) {
            *arrival += ms(random.below(12));
        }
    }
    let mut harness = harness();
    script.play(&mut harness);
    let duplicates: u64 =
        harness.recorder.statistics().tracks.iter().map(|(_, track)| track.duplicates).sum();
    assert!(duplicates > 50, "{duplicates}");
    let data = |bytes: &[u8], number| {
        let blocks = parse::blocks(bytes).into_iter().filter(move |block| block.track == number);
        blocks.map(|block| block.data).collect::<Vec<_>>()
    };
    let shuffled = harness.finish().1;
    assert!(data(&shuffled, 1) == data(&reference, 1));
    assert!(data(&shuffled, 2) == data(&reference, 2));
}

#[test]
fn redundant_audio_replaces_lost_packets() {
    let mut harness = Harness::new(RecorderConfig::default());
    let formats = vec![format(63, Encoding::Red, 48_000, 2), format(111, Codec::Opus, 48_000, 2)];
    harness.add(track(AUDIO, MediaKind::Audio, formats));
    let mut audio = Source::new(5, 63, 48_000);
    let mut history: Vec<Vec<u8>> = Vec::new();
    let mut lost = 0;
    for index in 0..500_u32 {
        let at = ms(20) * index;
        let primary = opus(at);
        let mut before: Vec<_> = history.iter().rev().take(2).enumerate().collect();
        before.reverse();
        let before: Vec<_> = before
            .into_iter()
            .map(|(back, data)| (960 * (back as u32 + 1), data.clone()))
            .collect::<Vec<(u32, Vec<u8>)>>();
        let packets = audio.frame(at, vec![packetize::red(111, &before, &primary)]);
        history.push(primary);
        // Two of ten are lost, in a row.
        if index % 10 == 4 || index % 10 == 5 {
            lost += 1;
            continue;
        }
        for packet in packets {
            harness.rtp(at + ms(30), AUDIO, packet);
        }
    }
    assert_eq!(lost, 100);
    let (summary, bytes) = harness.finish();
    let blocks = parse::blocks(&bytes);
    assert!(blocks.iter().map(|block| &block.data).eq(&history));
    assert!(blocks.iter().all(|block| (lateness(block) - lateness(&blocks[0])).abs() <= 1.0));
    assert_eq!(summary.tracks[0].packets_lost, 0);
}

#[test]
fn packets_of_other_formats_are_dropped_and_leave_no_hole() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(track(AUDIO, MediaKind::Audio, vec![format(0, Codec::Pcmu, 8_000, 1)]));
    let mut audio = Source::new(5, 0, 8_000);
    for index in 0..100_u32 {
        let at = ms(20) * index;
        let mut packet = audio.frame(at, vec![vec![0xff; 160]]).remove(0);
        if index % 10 == 9 {
            packet.payload_type = PayloadType(13);
        }
        harness.rtp(at, AUDIO, packet);
    }
    let statistics = harness.recorder.statistics();
    assert_eq!((statistics.tracks[0].1.unknown_payload_type, statistics.tracks[0].1.lost), (10, 0));
    assert_eq!(harness.finish().0.tracks[0].frames, 90);
}

#[test]
fn missing_padding_is_no_loss_if_picture_ids_continue() {
    let mut harness = harness();
    let mut video = Source::vp8();
    for (index, at) in at_rate(25, Duration::ZERO, 4 * SECOND).into_iter().enumerate() {
        let frame = harness::script::vp8(at, index == 0, (320, 180));
        for packet in video.frame(at, packetize::vp8(&frame, index as u16)) {
            harness.rtp(at, VIDEO, packet);
        }
        // A middlebox removed a packet of padding.
        if index % 20 == 10 {
            video.sequence_number = video.sequence_number.wrapping_add(1);
        }
    }
    assert_eq!(harness.finish().0.tracks[0].frames, 100);
    assert_eq!(harness.keyframes, []);
}

#[test]
fn a_recording_continues_after_a_blackout_within_the_grace_time() {
    for blackout in [ms(100), ms(2_000), ms(30_000)] {
        let mut harness = harness();
        let (mut audio, mut video) = (Source::opus(), Source::vp8());
        let end = 10 * SECOND + blackout;
        let mut script = Script::default();
        script.send_audio(&mut audio, Duration::ZERO, end, ms(30));
        script.send_video(&mut video, &at_rate(25, Duration::ZERO, end), 25, ms(30));
        script.reports(VIDEO, &video, ms(300), end, SECOND);
        script.reports(AUDIO, &audio, ms(400), end, SECOND);
        script.0.retain(|(arrival, _)| *arrival < 5 * SECOND || *arrival >= 5 * SECOND + blackout);
        script.play(&mut harness);
        let (summary, bytes) = harness.finish();
        assert!(summary.duration.abs_diff(end) <= ms(45), "{:?} of {end:?}", summary.duration);
        let blocks = parse::blocks(&bytes);
        let spread = harness::script::spread(&blocks);
        assert!(spread <= 2.0, "{blackout:?}: {spread} ms");
        let last = summary.tracks.iter().map(|track| track.frames).collect::<Vec<_>>();
        // Up to a second of video is dropped until the next keyframe.
        assert!(last[0] >= 490 && last[1] >= 220, "{blackout:?}: {last:?}");
    }
}
