//! Pause and resume on one timeline.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::Duration;

use harness::{
    Harness, coded, ms, packetize, parse,
    player::OnDisk,
    script::{Event, Random, Script, at_rate, captured, lateness, opus, send_coded_audio, spread, vp8},
    sender::{AUDIO, Source, VIDEO, opus_track, vp8_track},
};
use media::{Input, KeyframeReason, LayerId, RecorderConfig, RtpPacket};

const SECOND: Duration = Duration::from_secs(1);

fn harness() -> Harness {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    harness
}

/// Plays a script, and pauses and resumes alternately at these times.
fn play(script: Script, edges: &[Duration], harness: &mut Harness) {
    let mut events = script.0;
    events.sort_by_key(|(arrival, _)| *arrival);
    let mut edges = edges.iter().enumerate().peekable();
    for (arrival, event) in events {
        while let Some((index, at)) = edges.next_if(|(_, at)| **at <= arrival) {
            edge(harness, *at, index % 2 == 0);
        }
        Script(vec![(arrival, event)]).play(harness);
    }
    for (index, at) in edges {
        edge(harness, *at, index % 2 == 0);
    }
}

fn edge(harness: &mut Harness, at: Duration, pause: bool) {
    harness.advance(at);
    let at = harness.instant();
    harness.input(if pause { Input::Pause(at) } else { Input::Resume(at) });
    assert_eq!(harness.recorder.is_paused(), pause);
}

/// Audio and video of one sender, with reports and a keyframe every second.
fn call(seconds: u64, network: Duration) -> Script {
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    script.send_video(&mut video, &at_rate(25, Duration::ZERO, SECOND * seconds as u32), 25, network);
    script.send_audio(&mut audio, Duration::ZERO, SECOND * seconds as u32, network);
    script.reports(VIDEO, &video, ms(500), SECOND * seconds as u32, SECOND);
    script.reports(AUDIO, &audio, ms(600), SECOND * seconds as u32, 5 * SECOND);
    script
}

fn blocks(bytes: &[u8]) -> (Vec<parse::Block>, Vec<parse::Block>) {
    parse::blocks(bytes).into_iter().partition(|block| block.data[0] == 0xfc)
}

/// Blocks in runs, between which the capture time jumps.
fn runs(blocks: &[parse::Block], jump: Duration) -> Vec<&[parse::Block]> {
    blocks.chunk_by(|before, after| captured(after) - captured(before) < jump).collect()
}

#[test]
fn fifty_pauses_shift_both_tracks_alike_and_leave_no_hole_or_overlap_in_the_audio() {
    let mut harness = harness();
    let mut random = Random::new(7);
    let mut edges = Vec::new();
    let mut at = ms(4_000);
    for _ in 0..50 {
        edges.push(at);
        at += ms(300 + random.below(1_500));
        edges.push(at);
        at += ms(1_500 + random.below(1_500));
    }
    let seconds = at.as_secs() + 4;
    play(call(seconds, ms(35)), &edges, &mut harness);
    let (summary, bytes) = harness.finish();
    let (audio, video) = blocks(&bytes);

    let steps = audio.windows(2).map(|pair| pair[1].time - pair[0].time);
    for step in steps {
        assert!((19..=21).contains(&step), "{step} ms from one packet of 20 ms to the next");
    }
    let audio_runs = runs(&audio, ms(100));
    assert_eq!(audio_runs.len(), 51);
    // Audio and video stay aligned in each run.
    let mut worst = 0.0_f64;
    for run in &audio_runs {
        let (from, to) = (captured(&run[0]), captured(run.last().unwrap()));
        let pictures: Vec<_> = video.iter().filter(|block| (from..to).contains(&captured(block))).collect();
        for picture in pictures.iter().skip(1) {
            worst = worst.max((lateness(picture) - lateness(&run[0])).abs());
        }
    }
    assert!(worst <= 2.0, "{worst} ms between audio and video");
    let paused: Duration = edges.chunks(2).map(|pair| pair[1] - pair[0]).sum();
    let expected = SECOND * seconds as u32 - paused;
    let error = (summary.duration.as_secs_f64() - expected.as_secs_f64()).abs() * 1_000.0;
    assert!(error <= 40.0, "{error} ms of {expected:?} after 50 pauses");
}

#[test]
fn after_a_pause_video_continues_with_a_requested_keyframe_and_the_file_decodes() {
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    send_coded_audio(&mut script, &mut audio, &coded::opus()[..500], ms(30));
    let frames = coded::vp8();
    let mut keyframes = 0;
    for index in 0..250_u16 {
        let at = ms(40 * u64::from(index));
        let frame = &frames[usize::from(index) % frames.len()];
        keyframes += u32::from(frame[0] & 1 == 0);
        let packets = video.frame(at, packetize::vp8(frame, index));
        script.rtp(at + ms(30), VIDEO, packets);
    }
    assert!(keyframes >= 4, "the clip has keyframes");
    let edges = [ms(3_010), ms(4_310), ms(6_005), ms(7_777)];
    play(script, &edges, &mut harness);
    let (summary, bytes) = harness.finish();
    for resumed in [edges[1], edges[3]] {
        let request = harness.keyframes.iter().find(|(at, track, ..)| *at >= resumed && *track == VIDEO);
        let (at, _, _, reason) = request.expect("a keyframe is requested");
        assert!(*at - resumed <= ms(1) && *reason == KeyframeReason::Resume, "{request:?}");
    }
    let file = OnDisk::new(&bytes, "webm");
    file.decodes_clean();
    let length = summary.duration.as_secs_f64();
    assert!((length - (10.0 - 1.3 - 1.772)).abs() <= 0.04, "{length}");
}

#[test]
fn media_captured_in_a_pause_is_dropped_and_media_captured_before_it_is_recorded() {
    // Media arrives after 200 ms: 30 ms are the path's, by sender reports, the others are coding and queues.
    let mut harness = harness();
    play(call(12, ms(200)), &[ms(5_000), ms(8_000)], &mut harness);
    let (audio, video) = blocks(&harness.finish().1);
    let paused = ms(5_000 - 30)..ms(8_000 - 30);
    let captures = audio.iter().chain(&video).map(captured);
    assert_eq!(captures.filter(|at| (paused.start + ms(20)..paused.end - ms(20)).contains(at)).count(), 0);
    let runs = runs(&audio, ms(100));
    assert_eq!(runs.len(), 2);
    assert!(captured(runs[0].last().unwrap()) >= paused.start - ms(20), "{:?}", runs[0].last());
    assert!(captured(&runs[1][0]) <= paused.end + ms(20), "{:?}", runs[1][0]);
}

#[test]
fn pictures_between_the_resume_and_the_keyframe_are_dropped() {
    let mut harness = harness();
    // A keyframe every second. The one in the pause must not continue the video.
    play(call(10, ms(20)), &[ms(3_500), ms(5_200)], &mut harness);
    let (_, video) = blocks(&harness.finish().1);
    let runs = runs(&video, ms(500));
    assert_eq!(runs.len(), 2);
    assert!(runs[1][0].keyframe);
    assert_eq!(captured(&runs[1][0]), ms(6_000));
}

#[test]
fn a_keyframe_captured_just_before_the_resume_continues_the_video() {
    let mut harness = harness();
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    let mut script = Script::default();
    script.send_audio(&mut audio, Duration::ZERO, 8 * SECOND, ms(10));
    for index in 0..200_u64 {
        let at = ms(40 * index);
        // Captured 20 ms before the resume at 5,020, and arrives 40 ms after it, as coding takes time.
        let keyframe = index == 0 || index == 125;
        let frame = vp8(at, keyframe, (320, 180));
        let packets = video.frame(at, packetize::vp8(&frame, index as u16));
        let delay = if (125..128).contains(&index) { ms(60 - 20 * (index - 125)) } else { ms(10) };
        script.rtp(at + delay, VIDEO, packets);
    }
    script.reports(VIDEO, &video, ms(500), 8 * SECOND, SECOND);
    script.reports(AUDIO, &audio, ms(500), 8 * SECOND, SECOND);
    play(script, &[ms(3_000), ms(5_020)], &mut harness);
    let (_, video) = blocks(&harness.finish().1);
    let runs = runs(&video, ms(500));
    assert_eq!(captured(&runs[1][0]), ms(5_000));
    assert_eq!(runs[1].len(), 75, "no picture after it is missing");
    assert!(spread(&runs[1][2..]) <= 1.0);
}

#[test]
fn a_pause_before_the_first_frame_only_delays_the_beginning() {
    let mut harness = harness();
    play(call(8, ms(30)), &[Duration::ZERO, ms(3_300)], &mut harness);
    let (summary, bytes) = harness.finish();
    let (audio, video) = blocks(&bytes);
    assert!(captured(&audio[0]) >= ms(3_250) && audio[0].time <= 7, "{:?}", audio[0]);
    assert!(video[0].keyframe);
    assert!((summary.duration.as_secs_f64() - 4.7).abs() < 0.05, "{:?}", summary.duration);
    assert!(spread(audio.iter().chain(&video)) <= 2.0);
}

#[test]
fn media_from_before_a_pause_in_the_opening_seconds_is_recorded() {
    let mut harness = harness();
    // Before the first report, so the tracks are not aligned.
    play(call(8, ms(30)), &[ms(300), ms(2_300)], &mut harness);
    let (audio, video) = blocks(&harness.finish().1);
    assert_eq!(captured(&audio[0]), Duration::ZERO);
    assert_eq!(captured(&video[0]), Duration::ZERO);
    let steps: Vec<_> = audio.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
    assert!(steps.iter().all(|step| (17..=23).contains(step)), "{steps:?}");
    let last = audio.last().unwrap();
    assert!((last.time - 5_980).abs() <= 30, "{last:?}");
}

#[test]
fn pauses_may_be_repeated_and_a_session_may_end_in_one() {
    let mut harness = harness();
    let mut script = call(6, ms(30)).0;
    script.sort_by_key(|(arrival, _)| *arrival);
    let mut done = false;
    for (arrival, event) in script {
        if arrival >= ms(4_000) && !done {
            done = true;
            for _ in 0..3 {
                edge(&mut harness, ms(4_000), true);
            }
        }
        Script(vec![(arrival, event)]).play(&mut harness);
    }
    let (summary, bytes) = harness.finish();
    assert!((summary.duration.as_secs_f64() - 4.0).abs() <= 0.05, "{:?}", summary.duration);
    OnDisk::new(&bytes, "webm").ffprobe("-show_format");
    let at = harness.instant();
    harness.input(Input::Resume(at));
}

#[test]
fn a_resume_without_a_pause_changes_nothing() {
    let mut with = harness();
    let mut without = harness();
    play(call(5, ms(30)), &[], &mut without);
    let mut script = call(5, ms(30)).0;
    script.sort_by_key(|(arrival, _)| *arrival);
    for (arrival, event) in script {
        with.advance(arrival);
        let at = with.instant();
        with.input(Input::Resume(at));
        Script(vec![(arrival, event)]).play(&mut with);
    }
    let blocks_of = |harness: &mut Harness| parse::blocks(&harness.finish().1);
    assert!(blocks_of(&mut with) == blocks_of(&mut without));
}

#[test]
fn hours_of_pauses_do_not_increase_held_bytes() {
    let mut harness = harness();
    let mut source = Source::opus();
    let mut at = Duration::ZERO;
    let mut expected = 0_u64;
    for minute in 0..240_u32 {
        edge(&mut harness, at, minute % 2 == 1);
        for _ in 0..3_000 {
            let timestamp = source.timestamp(at);
            let packet: RtpPacket = source.packet(timestamp, false, opus(at));
            let script = Script(vec![(at + ms(5), Event::Rtp(AUDIO, LayerId(0), packet))]);
            script.play(&mut harness);
            at += ms(20);
            expected += u64::from(minute % 2 == 0);
        }
    }
    let (summary, bytes) = harness.finish();
    assert!(harness.most_held < 100_000, "{} bytes held", harness.most_held);
    let frames = summary.tracks[0].frames;
    assert!(frames.abs_diff(expected) <= 240, "{frames} of {expected}");
    let blocks = parse::blocks(&bytes);
    let steps = blocks.windows(2).map(|pair| pair[1].time - pair[0].time);
    assert!(steps.into_iter().all(|step| (18..=22).contains(&step)));
}
