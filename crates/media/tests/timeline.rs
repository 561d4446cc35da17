//! Times of frames in the file.
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

fn harness() -> Harness {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    harness
}

/// Blocks of audio and of video, whichever track has which number.
fn blocks(bytes: &[u8]) -> (Vec<parse::Block>, Vec<parse::Block>) {
    parse::blocks(bytes).into_iter().partition(|block| block.data[0] == 0xfc)
}

#[test]
fn audio_that_begins_3_s_late_is_aligned_within_10_ms() {
    // Media takes 60 ms to arrive, sender reports 30 ms.
    for first_audio_report in [ms(3_100), ms(5_500)] {
        let mut harness = harness();
        let (mut audio, mut video) = (Source::opus(), Source::vp8());
        let mut script = Script::default();
        script.send_video(&mut video, &at_rate(25, Duration::ZERO, 20 * SECOND), 25, ms(60));
        script.send_audio(&mut audio, 3 * SECOND, 20 * SECOND, ms(60));
        script.reports(VIDEO, &video, ms(500), 20 * SECOND, SECOND);
        script.reports(AUDIO, &audio, first_audio_report, 20 * SECOND, 5 * SECOND);
        script.play(&mut harness);
        let (audio, video) = blocks(&harness.finish().1);
        let offset =
            audio.iter().map(lateness).map(|late| (late - lateness(&video[0])).abs()).fold(0.0, f64::max);
        let at_end = (lateness(audio.last().unwrap()) - lateness(video.last().unwrap())).abs();
        assert!(at_end <= 2.0, "{at_end} ms at the end");
        // Without a report audio is placed by its arrival, here 30 ms late, and then slewed.
        let bound = if first_audio_report < ms(4_000) { 10.0 } else { 35.0 };
        assert!(offset <= bound, "{offset} ms with the first report at {first_audio_report:?}");
        assert_eq!(audio.len(), 850);
    }
}

#[test]
fn a_track_with_reports_is_not_placed_by_arrival() {
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    // Video leaves the sender 180 ms after its capture.
    script.send_video(&mut video, &at_rate(30, Duration::ZERO, 10 * SECOND), 30, ms(200));
    script.send_audio(&mut audio, Duration::ZERO, 10 * SECOND, ms(20));
    script.reports(VIDEO, &video, ms(700), 10 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(900), 10 * SECOND, SECOND);
    script.play(&mut harness);
    let (audio, video) = blocks(&harness.finish().1);
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

#[test]
fn reports_without_fractions_of_a_second_are_ignored() {
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    script.send_video(&mut video, &at_rate(30, Duration::ZERO, 10 * SECOND), 30, ms(20));
    script.send_audio(&mut audio, Duration::ZERO, 10 * SECOND, ms(20));
    for (track, source, phase) in [(VIDEO, &video, 700), (AUDIO, &audio, 1_600)] {
        for at in (0..8).map(|n| ms(phase + 900 * n)) {
            // Microseconds in place of units of 2⁻³² s.
            let wall = NtpTime((3_900_000_000 + at.as_secs()) << 32 | u64::from(at.subsec_micros()));
            script.report_of(at + ms(20), track, LayerId(0), source, at, wall);
        }
    }
    script.play(&mut harness);
    let (audio, video) = blocks(&harness.finish().1);
    assert_eq!((audio.len(), video.len()), (500, 300));
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

/// Records four hours of virtual time, a minute at a time.
fn four_hours(audio_ppm: i64, video_ppm: i64, wall_ppm: i64) -> (Vec<parse::Block>, Vec<parse::Block>) {
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    (audio.skew_ppm, video.skew_ppm) = (audio_ppm, video_ppm);
    for minute in 0..240 {
        let (from, to) = (60 * SECOND * minute, 60 * SECOND * (minute + 1));
        let mut script = Script::default();
        script.send_audio(&mut audio, from, to, ms(30));
        // 5 fps are enough to measure a drift.
        script.send_video(&mut video, &at_rate(5, from, to), 25, ms(30));
        for second in 0..60 {
            let at = from + SECOND * second + ms(300);
            let wall = at.as_nanos() as i128 * i128::from(1_000_000 + wall_ppm) / 1_000_000;
            let wall = ntp(Duration::from_nanos(u64::try_from(wall).unwrap()));
            script.report_of(at + ms(30), VIDEO, LayerId(0), &video, at, wall);
            if second % 5 == 2 {
                script.report_of(at + ms(30), AUDIO, LayerId(0), &audio, at, wall);
            }
        }
        script.play(&mut harness);
    }
    blocks(&harness.finish().1)
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
        // The media clocks and the wall clock of the sender.
        let (audio, video) = four_hours(ppm, ppm, ppm);
        let drift = spread(audio.iter().chain(&video));
        assert!(drift <= 20.0, "{ppm}: {drift} ms");
    }
}

#[test]
fn a_burst_at_the_start_is_not_compressed() {
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    script.send_video(&mut video, &at_rate(25, Duration::ZERO, 20 * SECOND), 25, ms(30));
    script.send_audio(&mut audio, Duration::ZERO, 20 * SECOND, ms(30));
    script.reports(VIDEO, &video, ms(2_500), 20 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(4_600), 20 * SECOND, 5 * SECOND);
    // All media of the first two seconds arrives at their end.
    for (arrival, _) in &mut script.0 {
        *arrival = (*arrival).max(ms(2_030));
    }
    script.play(&mut harness);
    let (audio, video) = blocks(&harness.finish().1);
    for track in [&audio, &video] {
        for (from, to) in track.iter().zip(track.iter().skip(25)) {
            let media = (to.time - from.time) as f64;
            let real = (captured(to) - captured(from)).as_secs_f64() * 1_000.0;
            // The slope over a second, with an allowance for rounding to milliseconds.
            assert!((media - real).abs() <= 0.01 * real + 1.0, "{media} ms for {real} ms");
        }
    }
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

#[test]
fn every_frame_has_the_time_of_its_capture_at_any_rate() {
    for fps in [7, 16, 50] {
        let mut harness = harness();
        let mut video = Source::vp8();
        let mut script = Script::default();
        script.send_video(&mut video, &at_rate(fps, Duration::ZERO, 30 * SECOND), 20, ms(30));
        script.reports(VIDEO, &video, ms(400), 30 * SECOND, SECOND);
        script.play(&mut harness);
        let (_, video) = blocks(&harness.finish().1);
        assert_eq!(video.len(), 30 * fps as usize);
        assert!(spread(&video) <= 1.0 + 1e-6, "{fps} fps: {}", spread(&video));
    }
}

#[test]
fn every_frame_of_a_variable_rate_has_the_time_of_its_capture() {
    let mut harness = harness();
    let mut video = Source::vp8();
    let mut captures = vec![Duration::ZERO];
    for index in 0..600_u64 {
        captures.push(*captures.last().unwrap() + ms(10 + index * 7_919 % 190));
    }
    let end = *captures.last().unwrap();
    let mut script = Script::default();
    script.send_video(&mut video, &captures, 30, ms(30));
    // Arrival jitters by up to 40 ms.
    for (index, (arrival, _)) in script.0.iter_mut().enumerate() {
        *arrival += ms(index as u64 * 104_729 % 40);
    }
    script.reports(VIDEO, &video, ms(400), end, SECOND);
    script.play(&mut harness);
    let (_, video) = blocks(&harness.finish().1);
    assert_eq!(video.len(), captures.len());
    assert!(spread(&video) <= 1.0 + 1e-6, "{}", spread(&video));
}

#[test]
fn twenty_mutes_of_5_s_leave_the_timeline_correct() {
    // A muted track sends nothing while its media clock runs on: video off, or audio in DTX.
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let end = 200 * SECOND;
    let mut script = Script::default();
    let mut captures = Vec::new();
    for cycle in 0..20 {
        let from = 10 * SECOND * cycle;
        script.send_audio(&mut audio, from, from + 5 * SECOND, ms(30));
        captures.extend(at_rate(25, from, from + 5 * SECOND));
    }
    captures.push(end - ms(40));
    script.send_video(&mut video, &captures, 25, ms(30));
    script.send_audio(&mut audio, end - ms(20), end, ms(30));
    script.reports(VIDEO, &video, ms(300), end, SECOND);
    script.reports(AUDIO, &audio, ms(600), end, 5 * SECOND);
    script.play(&mut harness);
    let (summary, bytes) = harness.finish();
    let (audio, video) = blocks(&bytes);
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
    let ends: Vec<_> = summary.tracks.iter().map(|track| track.end.to_duration()).collect();
    assert!(ends[0].abs_diff(ends[1]) <= ms(20), "{ends:?}");
    assert!(summary.duration.abs_diff(end) <= ms(20), "{:?}", summary.duration);
}

#[test]
fn a_timestamp_that_jumps_does_not_lengthen_the_file() {
    // By half the range, by an arbitrary step, by an hour, and backwards.
    for jump in [1 << 31, 0x1234_5678, 48_000 * 3_600, 0_u32.wrapping_sub(5_000_000)] {
        for reports in [false, true] {
            let mut harness = harness();
            let (mut audio, mut video) = (Source::opus(), Source::vp8());
            let mut script = Script::default();
            script.send_audio(&mut audio, Duration::ZERO, 10 * SECOND, ms(30));
            script.send_video(&mut video, &at_rate(25, Duration::ZERO, 10 * SECOND), 25, ms(30));
            if reports {
                script.reports(AUDIO, &audio, ms(300), 10 * SECOND, SECOND);
                script.reports(VIDEO, &video, ms(300), 10 * SECOND, SECOND);
            }
            script.play(&mut harness);
            let mut script = Script::default();
            audio.base = audio.base.wrapping_add(jump);
            video.base = video.base.wrapping_add(jump);
            script.send_audio(&mut audio, 10 * SECOND, 20 * SECOND, ms(30));
            script.send_video(&mut video, &at_rate(25, 10 * SECOND, 20 * SECOND), 25, ms(30));
            if reports {
                script.reports(AUDIO, &audio, ms(10_300), 20 * SECOND, SECOND);
                script.reports(VIDEO, &video, ms(10_300), 20 * SECOND, SECOND);
            }
            script.play(&mut harness);
            let (summary, bytes) = harness.finish();
            let (audio, video) = blocks(&bytes);
            assert!(summary.duration.abs_diff(20 * SECOND) <= ms(200), "{jump:x} {:?}", summary.duration);
            assert_eq!((audio.len(), video.len()), (1_000, 500));
            let offset = spread(audio.iter().chain(&video));
            assert!(offset <= 25.0, "{jump:x}: {offset} ms");
        }
    }
}

#[test]
fn timestamps_that_jump_with_each_packet_do_not_lengthen_the_file() {
    let mut harness = harness();
    let mut audio = Source::opus();
    for index in 0..2_000_u64 {
        let at = ms(20 * index);
        let timestamp = (index as u32).wrapping_mul(0x9e37_79b9);
        let packet = audio.packet(timestamp, false, opus(at));
        harness.rtp(at, AUDIO, packet);
    }
    let (summary, _) = harness.finish();
    assert!(summary.duration <= 45 * SECOND, "{:?}", summary.duration);
}

#[test]
fn a_source_whose_clock_stops_in_silence_is_placed_by_arrival() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(media::TrackConfig { anchor: Anchor::Arrival, ..opus_track() });
    let mut audio = Source::opus();
    let mut stopped = Duration::ZERO;
    for spurt in 0..10_u32 {
        for index in 0..100_u32 {
            let at = 5 * SECOND * spurt + ms(20) * index;
            let timestamp = audio.timestamp(at - stopped);
            let packet = audio.packet(timestamp, false, opus(at));
            harness.rtp(at + ms(30), AUDIO, packet);
        }
        stopped += 3 * SECOND;
    }
    let (audio, _) = blocks(&harness.finish().1);
    assert_eq!(audio.len(), 1_000);
    assert!(spread(&audio) <= 2.0, "{}", spread(&audio));
}

#[test]
fn a_step_of_the_wall_clock_changes_only_the_date() {
    let record = |wall| {
        let mut harness = Harness::at(RecorderConfig::default(), wall);
        harness.add(opus_track());
        let mut audio = Source::opus();
        let mut script = Script::default();
        script.send_audio(&mut audio, Duration::ZERO, 10 * SECOND, ms(30));
        // The sender's wall clock is set forward by a day, and back.
        for second in 1..10_u32 {
            let at = SECOND * second;
            let wall = ntp(if (4..7).contains(&second) { at + 86_400 * SECOND } else { at });
            script.report_of(at + ms(30), AUDIO, LayerId(0), &audio, at, wall);
        }
        script.play(&mut harness);
        blocks(&harness.finish().1).0
    };
    let today = record(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let tomorrow = record(UNIX_EPOCH + Duration::from_secs(1_800_086_400));
    assert_eq!(today, tomorrow);
    assert_eq!(today.len(), 500);
    assert!(spread(&today) <= 2.0);
}
