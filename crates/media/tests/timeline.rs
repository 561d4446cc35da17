//! Where frames land on the timeline.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::{Duration, UNIX_EPOCH};

use harness::{
    Harness, ms, ntp, parse,
    script::{Script, at_rate, captured, lateness, opus, spread},
    sender::{AUDIO, Source, VIDEO, opus_track, vp8_track},
};
use media::{Anchor, LayerId, NtpTime, RecorderConfig};

const SECOND: Duration = Duration::from_secs(1);

fn studio() -> Harness {
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(opus_track());
    studio.add(vp8_track());
    studio
}

/// Blocks of audio and of video. Which number each got depends on who came first.
fn blocks(bytes: &[u8]) -> (Vec<parse::BlockRead>, Vec<parse::BlockRead>) {
    parse::blocks(bytes).into_iter().partition(|block| block.data[0] == 0xfc)
}

#[test]
fn audio_that_begins_3_s_late_is_placed_within_10_ms() {
    // The network takes 30 ms, and the audio path 40 ms more than that of video.
    for first_audio_report in [ms(3_100), ms(5_500)] {
        let mut studio = studio();
        let (mut audio, mut video) = (Source::opus(), Source::vp8());
        let mut script = Script::default();
        script.film(&mut video, &at_rate(25, Duration::ZERO, 20 * SECOND), 25, ms(60));
        script.talk(&mut audio, 3 * SECOND, 20 * SECOND, ms(60));
        script.reports(VIDEO, &video, ms(500), 20 * SECOND, SECOND);
        script.reports(AUDIO, &audio, first_audio_report, 20 * SECOND, 5 * SECOND);
        script.play(&mut studio);
        let (audio, video) = blocks(&studio.finish().1);
        let offset =
            audio.iter().map(lateness).map(|late| (late - lateness(&video[0])).abs()).fold(0.0, f64::max);
        let at_end = (lateness(audio.last().unwrap()) - lateness(video.last().unwrap())).abs();
        assert!(at_end <= 2.0, "{at_end} ms at the end");
        // Without a report audio stands by its arrival, which here is 30 ms off, until slewed.
        let bound = if first_audio_report < ms(4_000) { 10.0 } else { 35.0 };
        assert!(offset <= bound, "{offset} ms with the first report at {first_audio_report:?}");
        assert_eq!(audio.len(), 850);
    }
}

#[test]
fn arrival_does_not_decide_where_a_track_with_reports_belongs() {
    let mut studio = studio();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    // Video is encoded and paced for 180 ms before it is sent.
    script.film(&mut video, &at_rate(30, Duration::ZERO, 10 * SECOND), 30, ms(200));
    script.talk(&mut audio, Duration::ZERO, 10 * SECOND, ms(20));
    script.reports(VIDEO, &video, ms(700), 10 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(900), 10 * SECOND, SECOND);
    script.play(&mut studio);
    let (audio, video) = blocks(&studio.finish().1);
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

#[test]
fn reports_whose_clock_has_only_whole_seconds_are_not_believed() {
    let mut studio = studio();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    script.film(&mut video, &at_rate(30, Duration::ZERO, 10 * SECOND), 30, ms(20));
    script.talk(&mut audio, Duration::ZERO, 10 * SECOND, ms(20));
    for (track, source, phase) in [(VIDEO, &video, 700), (AUDIO, &audio, 1_600)] {
        for at in (0..8).map(|n| ms(phase + 900 * n)) {
            // Millionths are written where units of 2⁻³² s belong.
            let wall = NtpTime((3_900_000_000 + at.as_secs()) << 32 | u64::from(at.subsec_micros()));
            script.report_of(at + ms(20), track, LayerId(0), source, at, wall);
        }
    }
    script.play(&mut studio);
    let (audio, video) = blocks(&studio.finish().1);
    assert_eq!((audio.len(), video.len()), (500, 300));
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

/// Hours in virtual time, played a minute at a time.
fn four_hours(
    audio_ppm: i64,
    video_ppm: i64,
    wall_ppm: i64,
) -> (Vec<parse::BlockRead>, Vec<parse::BlockRead>) {
    let mut studio = studio();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    (audio.skew_ppm, video.skew_ppm) = (audio_ppm, video_ppm);
    for minute in 0..240 {
        let (from, to) = (60 * SECOND * minute, 60 * SECOND * (minute + 1));
        let mut script = Script::default();
        script.talk(&mut audio, from, to, ms(30));
        // 5 fps are enough to see a drift.
        script.film(&mut video, &at_rate(5, from, to), 25, ms(30));
        for second in 0..60 {
            let at = from + SECOND * second + ms(300);
            let wall = at.as_nanos() as i128 * i128::from(1_000_000 + wall_ppm) / 1_000_000;
            let wall = ntp(Duration::from_nanos(u64::try_from(wall).unwrap()));
            script.report_of(at + ms(30), VIDEO, LayerId(0), &video, at, wall);
            if second % 5 == 2 {
                script.report_of(at + ms(30), AUDIO, LayerId(0), &audio, at, wall);
            }
        }
        script.play(&mut studio);
    }
    blocks(&studio.finish().1)
}

#[test]
fn skewed_media_clocks_do_not_drift_in_4_hours() {
    let (audio, video) = four_hours(500, -500, 0);
    let drift = spread(audio.iter().chain(&video));
    assert!(drift <= 20.0, "{drift} ms");
}

#[test]
fn a_skewed_sender_does_not_drift_in_4_hours() {
    for ppm in [-500, 500] {
        // The whole sender: its media clocks and its wall clock alike.
        let (audio, video) = four_hours(ppm, ppm, ppm);
        let drift = spread(audio.iter().chain(&video));
        assert!(drift <= 20.0, "{ppm}: {drift} ms");
    }
}

#[test]
fn a_burst_at_the_start_is_not_compressed() {
    let mut studio = studio();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    script.film(&mut video, &at_rate(25, Duration::ZERO, 20 * SECOND), 25, ms(30));
    script.talk(&mut audio, Duration::ZERO, 20 * SECOND, ms(30));
    script.reports(VIDEO, &video, ms(2_500), 20 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(4_600), 20 * SECOND, 5 * SECOND);
    // What was captured in the first two seconds comes at once at their end.
    for (arrival, _) in &mut script.0 {
        *arrival = (*arrival).max(ms(2_030));
    }
    script.play(&mut studio);
    let (audio, video) = blocks(&studio.finish().1);
    for track in [&audio, &video] {
        for (from, to) in track.iter().zip(track.iter().skip(25)) {
            let media = (to.time - from.time) as f64;
            let real = (captured(to) - captured(from)).as_secs_f64() * 1_000.0;
            // Slope over a second, give or take the rounding to milliseconds.
            assert!((media - real).abs() <= 0.01 * real + 1.0, "{media} ms for {real} ms");
        }
    }
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

#[test]
fn every_frame_stands_where_it_was_captured_at_any_rate() {
    for fps in [7, 16, 50] {
        let mut studio = studio();
        let mut video = Source::vp8();
        let mut script = Script::default();
        script.film(&mut video, &at_rate(fps, Duration::ZERO, 30 * SECOND), 20, ms(30));
        script.reports(VIDEO, &video, ms(400), 30 * SECOND, SECOND);
        script.play(&mut studio);
        let (_, video) = blocks(&studio.finish().1);
        assert_eq!(video.len(), 30 * fps as usize);
        assert!(spread(&video) <= 1.0 + 1e-6, "{fps} fps: {}", spread(&video));
    }
}

#[test]
fn every_frame_of_a_variable_rate_stands_where_it_was_captured() {
    let mut studio = studio();
    let mut video = Source::vp8();
    let mut captures = vec![Duration::ZERO];
    for index in 0..600_u64 {
        captures.push(*captures.last().unwrap() + ms(10 + index * 7_919 % 190));
    }
    let end = *captures.last().unwrap();
    let mut script = Script::default();
    script.film(&mut video, &captures, 30, ms(30));
    // Arrival jitters by up to 40 ms.
    for (index, (arrival, _)) in script.0.iter_mut().enumerate() {
        *arrival += ms(index as u64 * 104_729 % 40);
    }
    script.reports(VIDEO, &video, ms(400), end, SECOND);
    script.play(&mut studio);
    let (_, video) = blocks(&studio.finish().1);
    assert_eq!(video.len(), captures.len());
    assert!(spread(&video) <= 1.0 + 1e-6, "{}", spread(&video));
}

#[test]
fn twenty_mutes_of_5_s_leave_the_timeline_right() {
    // Muted, a track sends nothing while its media clock runs on: video off, or audio in DTX.
    let mut studio = studio();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let end = 200 * SECOND;
    let mut script = Script::default();
    let mut captures = Vec::new();
    for cycle in 0..20 {
        let from = 10 * SECOND * cycle;
        script.talk(&mut audio, from, from + 5 * SECOND, ms(30));
        captures.extend(at_rate(25, from, from + 5 * SECOND));
    }
    captures.push(end - ms(40));
    script.film(&mut video, &captures, 25, ms(30));
    script.talk(&mut audio, end - ms(20), end, ms(30));
    script.reports(VIDEO, &video, ms(300), end, SECOND);
    script.reports(AUDIO, &audio, ms(600), end, 5 * SECOND);
    script.play(&mut studio);
    let (summary, bytes) = studio.finish();
    let (audio, video) = blocks(&bytes);
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
    let ends: Vec<_> = summary.tracks.iter().map(|track| track.end.to_duration()).collect();
    assert!(ends[0].abs_diff(ends[1]) <= ms(20), "{ends:?}");
    assert!(summary.duration.abs_diff(end) <= ms(20), "{:?}", summary.duration);
}

#[test]
fn a_timestamp_that_jumps_does_not_grow_the_file() {
    // By half the range, to anywhere, an hour on, and back to zero.
    for jump in [1 << 31, 0x1234_5678, 48_000 * 3_600, 0_u32.wrapping_sub(5_000_000)] {
        for tied in [false, true] {
            let mut studio = studio();
            let (mut audio, mut video) = (Source::opus(), Source::vp8());
            let mut script = Script::default();
            script.talk(&mut audio, Duration::ZERO, 10 * SECOND, ms(30));
            script.film(&mut video, &at_rate(25, Duration::ZERO, 10 * SECOND), 25, ms(30));
            if tied {
                script.reports(AUDIO, &audio, ms(300), 10 * SECOND, SECOND);
                script.reports(VIDEO, &video, ms(300), 10 * SECOND, SECOND);
            }
            script.play(&mut studio);
            let mut script = Script::default();
            audio.base = audio.base.wrapping_add(jump);
            video.base = video.base.wrapping_add(jump);
            script.talk(&mut audio, 10 * SECOND, 20 * SECOND, ms(30));
            script.film(&mut video, &at_rate(25, 10 * SECOND, 20 * SECOND), 25, ms(30));
            if tied {
                script.reports(AUDIO, &audio, ms(10_300), 20 * SECOND, SECOND);
                script.reports(VIDEO, &video, ms(10_300), 20 * SECOND, SECOND);
            }
            script.play(&mut studio);
            let (summary, bytes) = studio.finish();
            let (audio, video) = blocks(&bytes);
            assert!(summary.duration.abs_diff(20 * SECOND) <= ms(200), "{jump:x} {:?}", summary.duration);
            assert_eq!((audio.len(), video.len()), (1_000, 500));
            let offset = spread(audio.iter().chain(&video));
            assert!(offset <= 25.0, "{jump:x}: {offset} ms");
        }
    }
}

#[test]
fn a_timestamp_that_jumps_with_each_packet_is_bounded() {
    let mut studio = studio();
    let mut audio = Source::opus();
    for index in 0..2_000_u64 {
        let at = ms(20 * index);
        let timestamp = (index as u32).wrapping_mul(0x9e37_79b9);
        let packet = audio.packet(timestamp, false, opus(at));
        studio.rtp(at, AUDIO, packet);
    }
    let (summary, _) = studio.finish();
    assert!(summary.duration <= 45 * SECOND, "{:?}", summary.duration);
}

#[test]
fn a_source_that_stops_its_clock_in_silence_is_placed_by_arrival() {
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(media::TrackConfig { anchor: Anchor::Arrival, ..opus_track() });
    let mut audio = Source::opus();
    let mut stopped = Duration::ZERO;
    for spurt in 0..10_u32 {
        for index in 0..100_u32 {
            let at = 5 * SECOND * spurt + ms(20) * index;
            let timestamp = audio.timestamp(at - stopped);
            let packet = audio.packet(timestamp, false, opus(at));
            studio.rtp(at + ms(30), AUDIO, packet);
        }
        stopped += 3 * SECOND;
    }
    let (audio, _) = blocks(&studio.finish().1);
    assert_eq!(audio.len(), 1_000);
    assert!(spread(&audio) <= 2.0, "{}", spread(&audio));
}

#[test]
fn a_step_of_the_calendar_changes_nothing_but_the_date() {
    let record = |wall| {
        let mut studio = Harness::at(RecorderConfig::default(), wall);
        studio.add(opus_track());
        let mut audio = Source::opus();
        let mut script = Script::default();
        script.talk(&mut audio, Duration::ZERO, 10 * SECOND, ms(30));
        // The sender's calendar is set forward by a day in the middle, and back.
        for second in 1..10_u32 {
            let at = SECOND * second;
            let wall = ntp(if (4..7).contains(&second) { at + 86_400 * SECOND } else { at });
            script.report_of(at + ms(30), AUDIO, LayerId(0), &audio, at, wall);
        }
        script.play(&mut studio);
        blocks(&studio.finish().1).0
    };
    let today = record(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let tomorrow = record(UNIX_EPOCH + Duration::from_secs(1_800_086_400));
    assert_eq!(today, tomorrow);
    assert_eq!(today.len(), 500);
    assert!(spread(&today) <= 2.0);
}
