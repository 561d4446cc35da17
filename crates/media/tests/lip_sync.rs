//! The A/V offset in the statistics.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use std::time::Duration;

use harness::{
    Harness, ms, ntp, packetize,
    script::{Random, Script, at_rate, vp8},
    sender::{AUDIO, Source, VIDEO, format, opus_track, track, vp8_track},
};
use media::{Codec, LayerId, MediaKind, RecorderConfig, TrackId};

const SECOND: Duration = Duration::from_secs(1);
const SLIDES: TrackId = TrackId(2);

/// Audio with a delay of 30 ms.
fn audio(script: &mut Script, until: Duration) -> Source {
    let mut audio = Source::opus();
    script.send_audio(&mut audio, Duration::ZERO, until, ms(30));
    audio
}

fn video(script: &mut Script, until: Duration, delay: Duration) -> Source {
    let mut video = Source::vp8();
    script.send_video(&mut video, &at_rate(30, Duration::ZERO, until), 30, delay);
    video
}

fn harness() -> Harness {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(vp8_track());
    harness.add(opus_track());
    harness
}

/// In milliseconds.
fn offset(harness: &Harness, track: TrackId) -> Option<i64> {
    let tracks = harness.recorder.statistics().tracks;
    let (_, statistics) = tracks.into_iter().find(|(id, _)| *id == track).unwrap();
    statistics.av_offset.map(|nanos| nanos / 1_000_000)
}

#[test]
fn video_that_arrives_120_ms_after_audio_has_an_offset_of_120_ms() {
    for delay in [150_u64, 30, 0] {
        let mut harness = harness();
        let mut script = Script::default();
        let (audio, video) = (audio(&mut script, 10 * SECOND), video(&mut script, 10 * SECOND, ms(delay)));
        script.reports(AUDIO, &audio, ms(1_300), 10 * SECOND, 5 * SECOND);
        script.reports(VIDEO, &video, ms(700), 10 * SECOND, SECOND);
        script.play(&mut harness);
        let expected = i64::try_from(delay).unwrap() - 30;
        let found = offset(&harness, VIDEO).unwrap();
        assert!((found - expected).abs() <= 10, "{found} ms, not {expected}");
        assert_eq!(offset(&harness, AUDIO), Some(0));
    }
}

#[test]
fn jitter_is_smoothed_and_a_change_is_visible_within_two_seconds() {
    let mut harness = harness();
    let mut script = Script::default();
    let (mut audio, mut video, mut random) = (Source::opus(), Source::vp8(), Random::new(7));
    let mut jitter = || ms(random.below(30));
    for index in 0..600_u32 {
        let at = ms(20) * index;
        script.send_audio(&mut audio, at, at + ms(20), ms(20) + jitter());
    }
    for (index, at) in at_rate(25, Duration::ZERO, 12 * SECOND).into_iter().enumerate() {
        let payloads = packetize::vp8(&vp8(at, index % 25 == 0, (320, 180)), index as u16);
        let late = if at < 6 * SECOND { ms(140) } else { ms(240) };
        script.rtp(at + late + jitter(), VIDEO, video.frame(at, payloads));
    }
    script.reports(AUDIO, &audio, ms(400), 12 * SECOND, SECOND);
    script.reports(VIDEO, &video, ms(900), 12 * SECOND, SECOND);
    let (before, after) = script.0.into_iter().partition(|(at, _)| *at < 6 * SECOND);
    Script(before).play(&mut harness);
    let found = offset(&harness, VIDEO).unwrap();
    assert!((110..=130).contains(&found), "{found} ms, not 120");
    let (two_seconds, _) = Vec::into_iter(after).partition(|(at, _)| *at < ms(8_200));
    Script(two_seconds).play(&mut harness);
    let found = offset(&harness, VIDEO).unwrap();
    assert!((205..=230).contains(&found), "{found} ms, not 220");
}

#[test]
fn there_is_no_offset_before_both_tracks_have_reports() {
    let mut harness = harness();
    let mut script = Script::default();
    let (audio, video) = (audio(&mut script, 6 * SECOND), video(&mut script, 6 * SECOND, ms(90)));
    script.reports(VIDEO, &video, ms(700), 6 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(4_000), 6 * SECOND, SECOND);
    let (before, after) = script.0.into_iter().partition(|(at, _)| *at < 4 * SECOND);
    Script(before).play(&mut harness);
    assert_eq!((offset(&harness, VIDEO), offset(&harness, AUDIO)), (None, None));
    Script(after).play(&mut harness);
    assert!(offset(&harness, VIDEO).is_some());
}

#[test]
fn clocks_of_different_senders_are_not_compared() {
    let mut harness = harness();
    let mut script = Script::default();
    let (audio, video) = (audio(&mut script, 6 * SECOND), video(&mut script, 6 * SECOND, ms(90)));
    script.reports(AUDIO, &audio, ms(400), 6 * SECOND, SECOND);
    for at in (1..6).map(|second| SECOND * second) {
        script.report_of(at + ms(30), VIDEO, LayerId(0), &video, at, ntp(at + 3_600 * SECOND));
    }
    script.play(&mut harness);
    assert_eq!((offset(&harness, VIDEO), offset(&harness, AUDIO)), (None, Some(0)));
}

#[test]
fn without_audio_offsets_are_measured_from_the_first_track() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(vp8_track());
    harness.add(track(SLIDES, MediaKind::Video, vec![format(96, Codec::Vp8, 90_000, 0)]));
    let mut script = Script::default();
    let video = video(&mut script, 6 * SECOND, ms(100));
    let mut slides = Source::new(0x51DE5, 96, 90_000);
    for (index, at) in at_rate(10, Duration::ZERO, 6 * SECOND).into_iter().enumerate() {
        let payloads = packetize::vp8(&vp8(at, index % 10 == 0, (640, 360)), index as u16);
        script.rtp(at + ms(40), SLIDES, slides.frame(at, payloads));
    }
    script.reports(VIDEO, &video, ms(400), 6 * SECOND, SECOND);
    script.reports(SLIDES, &slides, ms(500), 6 * SECOND, SECOND);
    script.play(&mut harness);
    let found = offset(&harness, SLIDES).unwrap();
    assert!((-70..=-50).contains(&found), "{found} ms, not -60");
    assert_eq!(offset(&harness, VIDEO), Some(0));
}
