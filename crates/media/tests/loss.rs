//! Loss, reordering, repetition, and what is never lost.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::Duration;

use harness::{
    Harness, coded, ms, packetize, parse,
    player::OnDisk,
    script::{Dice, Event, Script, at_rate, film_coded, lateness, opus, talk_coded},
    sender::{AUDIO, Source, VIDEO, format, opus_track, track, vp8_track},
};
use media::{Encoding, KeyframeReason, MediaKind, RecorderConfig};

const SECOND: Duration = Duration::from_secs(1);

fn studio() -> Harness {
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(opus_track());
    studio.add(vp8_track());
    studio
}

fn call() -> Script {
    let mut script = Script::default();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    film_coded(&mut script, &mut video, coded::vp8(), ms(30));
    talk_coded(&mut script, &mut audio, &coded::opus()[..500], ms(30));
    script.reports(VIDEO, &video, ms(300), 10 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(400), 10 * SECOND, SECOND);
    script.0.sort_by_key(|(arrival, _)| *arrival);
    script
}

fn is_rtp(event: &Event) -> bool {
    matches!(event, Event::Rtp(..))
}

#[test]
fn after_an_unrepaired_hole_the_file_holds_only_what_decodes() {
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let mut script = call();
        // 5 % in bursts of four.
        let mut burst = 0;
        script.0.retain(|(_, event)| {
            if is_rtp(event) && burst == 0 && dice.below(80) == 0 {
                burst = 4;
            }
            burst -= if is_rtp(event) { i32::min(burst, 1) } else { 0 };
            !(is_rtp(event) && burst > 0)
        });
        let mut studio = studio();
        script.play(&mut studio);
        let statistics = studio.recorder.statistics();
        let (summary, bytes) = studio.finish();
        OnDisk::new(&bytes, "webm").decodes_clean();
        let [audio, video] = &summary.tracks[..] else { panic!("{summary:?}") };
        assert!(video.frames > 25 && video.frames < 245, "{seed}: {}", video.frames);
        assert!(audio.frames > 440, "{seed}: audio went on: {}", audio.frames);
        assert!(video.packets_lost > 0);
        assert!(statistics.tracks[1].1.frames_dropped > 0);
        assert!(
            studio.keyframes.iter().any(|(_, track, _, why)| *track == VIDEO && *why == KeyframeReason::Loss)
        );
    }
}

#[test]
fn a_keyframe_is_asked_for_when_the_hole_is_given_up_and_again_while_none_comes() {
    let mut studio = studio();
    let mut video = Source::vp8();
    let mut script = Script::default();
    // A keyframe at the start and none after.
    script.film(&mut video, &at_rate(25, Duration::ZERO, 5 * SECOND), 1_000, Duration::ZERO);
    script.0.remove(25);
    script.play(&mut studio);
    // Frame 25 is missed when 26 comes, and given up a second after.
    let asked: Vec<_> = studio.keyframes.iter().map(|(at, ..)| at.as_millis()).collect();
    assert_eq!(asked[0], 1_040 + 1_000);
    let again = asked.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
    assert!(again.iter().all(|wait| (500..=560).contains(wait)) && again.len() >= 4, "{again:?}");
    let (summary, _) = studio.finish();
    assert_eq!(summary.tracks[0].frames, 25);
}

#[test]
fn with_resends_5_percent_of_loss_cost_no_frame() {
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let mut script = call();
        // Not the first of a source: that nobody can miss it is for the next keyframe to mend.
        for (arrival, event) in script.0.iter_mut().skip(20) {
            if is_rtp(event) && dice.below(20) == 0 {
                // Asked for and sent again up to three times.
                *arrival += ms(60 + 250 * dice.below(4));
            }
        }
        let mut studio = studio();
        script.play(&mut studio);
        let (summary, bytes) = studio.finish();
        let frames: Vec<_> = summary.tracks.iter().map(|track| (track.frames, track.packets_lost)).collect();
        assert_eq!(frames, [(500, 0), (250, 0)]);
        OnDisk::new(&bytes, "webm").decodes_clean();
    }
}

#[test]
fn a_lossless_call_is_in_the_file_byte_for_byte_with_its_last_frames() {
    let mut studio = studio();
    call().play(&mut studio);
    let (summary, bytes) = studio.finish();
    let blocks = parse::blocks(&bytes);
    let of = |number| blocks.iter().filter(move |block| block.track == number).map(|block| &block.data);
    assert!(of(1).eq(&coded::opus()[..500]));
    assert!(of(2).eq(coded::vp8()));
    assert_eq!(summary.bytes, bytes.len() as u64);
}

#[test]
fn packets_out_of_order_or_twice_change_nothing() {
    let reference = {
        let mut studio = studio();
        call().play(&mut studio);
        studio.finish().1
    };
    let mut dice = Dice::new(3);
    let mut script = call();
    let copies: Vec<_> = script.0.iter().filter(|(_, event)| is_rtp(event)).cloned().collect();
    script
        .0
        .extend(copies.into_iter().filter(|_| dice.below(10) == 0).map(|(at, event)| (at + ms(15), event)));
    // The first packets stay first: there is no telling that something came before the first.
    for (arrival, event) in script.0.iter_mut().skip(20) {
        if is_rtp(event) {
            *arrival += ms(dice.below(12));
        }
    }
    let mut studio = studio();
    script.play(&mut studio);
    let duplicates: u64 = studio.recorder.statistics().tracks.iter().map(|(_, track)| track.duplicates).sum();
    assert!(duplicates > 50, "{duplicates}");
    let data = |bytes: &[u8], number| {
        let blocks = parse::blocks(bytes).into_iter().filter(move |block| block.track == number);
        blocks.map(|block| block.data).collect::<Vec<_>>()
    };
    let shuffled = studio.finish().1;
    assert!(data(&shuffled, 1) == data(&reference, 1));
    assert!(data(&shuffled, 2) == data(&reference, 2));
}

#[test]
fn redundant_audio_fills_its_own_holes() {
    let mut studio = Harness::new(RecorderConfig::default());
    let formats = vec![format(63, Encoding::Red, 48_000, 2), format(111, Encoding::Opus, 48_000, 2)];
    studio.add(track(AUDIO, MediaKind::Audio, formats));
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
        // Two in a row, now and then.
        if index % 10 == 4 || index % 10 == 5 {
            lost += 1;
            continue;
        }
        for packet in packets {
            studio.rtp(at + ms(30), AUDIO, packet);
        }
    }
    assert_eq!(lost, 100);
    let (summary, bytes) = studio.finish();
    let blocks = parse::blocks(&bytes);
    assert!(blocks.iter().map(|block| &block.data).eq(&history));
    assert!(blocks.iter().all(|block| (lateness(block) - lateness(&blocks[0])).abs() <= 1.0));
    assert_eq!(summary.tracks[0].packets_lost, 0);
}

#[test]
fn comfort_noise_and_other_formats_are_dropped_and_leave_no_hole() {
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(track(AUDIO, MediaKind::Audio, vec![format(0, Encoding::Pcmu, 8_000, 1)]));
    let mut audio = Source::new(5, 0, 8_000);
    for index in 0..100_u32 {
        let at = ms(20) * index;
        let mut packet = audio.frame(at, vec![vec![0xff; 160]]).remove(0);
        if index % 10 == 9 {
            packet.payload_type = 13;
        }
        studio.rtp(at, AUDIO, packet);
    }
    let statistics = studio.recorder.statistics();
    assert_eq!((statistics.tracks[0].1.corrupt, statistics.tracks[0].1.lost), (10, 0));
    assert_eq!(studio.finish().0.tracks[0].frames, 90);
}

#[test]
fn padding_that_never_comes_is_no_loss_where_picture_numbers_go_on() {
    let mut studio = studio();
    let mut video = Source::vp8();
    for (index, at) in at_rate(25, Duration::ZERO, 4 * SECOND).into_iter().enumerate() {
        let frame = harness::script::vp8(at, index == 0, (320, 180));
        for packet in video.frame(at, packetize::vp8(&frame, index as u16)) {
            studio.rtp(at, VIDEO, packet);
        }
        // A packet of padding that someone on the way took out.
        if index % 20 == 10 {
            video.sequence_number = video.sequence_number.wrapping_add(1);
        }
    }
    assert_eq!(studio.finish().0.tracks[0].frames, 100);
    assert_eq!(studio.keyframes, []);
}

#[test]
fn a_blackout_within_the_grace_time_goes_on_in_the_same_file() {
    for blackout in [ms(100), ms(2_000), ms(30_000)] {
        let mut studio = studio();
        let (mut audio, mut video) = (Source::opus(), Source::vp8());
        let end = 10 * SECOND + blackout;
        let mut script = Script::default();
        script.talk(&mut audio, Duration::ZERO, end, ms(30));
        script.film(&mut video, &at_rate(25, Duration::ZERO, end), 25, ms(30));
        script.reports(VIDEO, &video, ms(300), end, SECOND);
        script.reports(AUDIO, &audio, ms(400), end, SECOND);
        script.0.retain(|(arrival, _)| *arrival < 5 * SECOND || *arrival >= 5 * SECOND + blackout);
        script.play(&mut studio);
        let (summary, bytes) = studio.finish();
        assert!(summary.duration.abs_diff(end) <= ms(45), "{:?} of {end:?}", summary.duration);
        let blocks = parse::blocks(&bytes);
        let spread = harness::script::spread(&blocks);
        assert!(spread <= 2.0, "{blackout:?}: {spread} ms");
        let last = summary.tracks.iter().map(|track| track.frames).collect::<Vec<_>>();
        // Up to a second of video goes for the next keyframe.
        assert!(last[0] >= 490 && last[1] >= 220, "{blackout:?}: {last:?}");
    }
}
