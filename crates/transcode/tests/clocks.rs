//! Times that are damaged, sparse, uneven or drift.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{
    Bench, frames, level,
    matroska::Film,
    recording::{MP3, Recording, WAV, opus_alone},
    sound, with_stray_cluster,
};
use testkit::signal::Codec;
use transcode::TranscodeError;

const SMALL: (u32, u32) = (320, 180);
const MP4: &str = r#"{"kind": "mp4", "video": {"preset": "ultrafast"}}"#;

fn seconds_of(bench: &Bench, bytes: &[u8], json: &str) -> f64 {
    let input = bench.path("strays.webm");
    std::fs::write(&input, bytes).unwrap();
    bench.make(&input, json).unwrap().1.duration.as_secs_f64()
}

#[test]
fn a_cluster_whose_time_is_damaged_costs_itself_wherever_it_is() {
    let bench = Bench::new();
    let mut film = opus_alone();
    let blocks = film.blocks.clone();
    film.blocks.extend(blocks.into_iter().map(|mut block| {
        block.0 += 6_000;
        block
    }));
    for (second, claimed, expected) in [
        (0, 7_200, 12.0),
        (1, 7_200, 12.0),
        (6, 7_200, 12.0),
        (10, 7_200, 12.0),
        (11, 7_200, 11.0),
        (8, 0, 12.0),
        (11, 0, 11.0),
    ] {
        let made = seconds_of(&bench, &with_stray_cluster(&film, second, claimed), WAV);
        assert!((made - expected).abs() < 0.1, "second {second} says {claimed}: {made} s");
    }
    let mut call = support::call();
    call.blocks.retain(|block| block.0 < 6_000);
    for second in [0, 5] {
        for json in [WAV, MP4] {
            let made = seconds_of(&bench, &with_stray_cluster(&call, second, 7_200), json);
            assert!((made - 6.0).abs() < 1.1, "{json}, second {second}: {made} s");
        }
    }
}

#[test]
fn a_damaged_time_after_a_long_hole_doesnt_cost_what_lies_behind_the_hole() {
    let bench = Bench::new();
    let mut film = opus_alone();
    let blocks = film.blocks.clone();
    for late in [600_000, 606_000] {
        film.blocks.extend(blocks.iter().cloned().map(|mut block| {
            block.0 += late;
            block
        }));
    }
    // The last second says it is second 7, where the hole is.
    let bytes = with_stray_cluster(&film, 611, 7);
    let input = bench.path("hole.webm");
    std::fs::write(&input, bytes).unwrap();
    let (output, produced) = bench.make(&input, WAV).unwrap();
    assert!((produced.duration.as_secs_f64() - 611.0).abs() < 0.1, "{produced:?}");
    assert!(level(&sound(&output), 603.02, 603.08) > 5_000.0);
}

/// Six seconds, two hours of nothing, and one second more.
fn long_absence() -> Film {
    let mut film = opus_alone();
    let last: Vec<_> = film.blocks.iter().filter(|block| block.0 < 1_000).cloned().collect();
    film.blocks.extend(last.into_iter().map(|mut block| {
        block.0 += 7_200_000;
        block
    }));
    film
}

#[test]
fn a_long_absence_that_the_header_or_another_track_confirms_is_kept() {
    let bench = Bench::new();
    let peaks = r#"{"kind": "waveform", "pixels_per_second": 1}"#;
    let mut sealed = long_absence();
    sealed.duration = Some(7_201_000.0);
    let made = seconds_of(&bench, &sealed.bytes(), peaks);
    assert!((made - 7_201.0).abs() < 0.1, "{made}");
    sealed.duration = Some(6_000.0);
    let made = seconds_of(&bench, &sealed.bytes(), peaks);
    assert!((made - 6.0).abs() < 0.1, "{made}");
    let mut two = long_absence();
    let video = two.add_video("V_VP8", SMALL, 0.0);
    let picture = frames(Codec::Vp8, SMALL)[0].clone();
    for minute in 0..120 {
        two.play(video, std::slice::from_ref(&picture), minute * 60_000);
    }
    let made = seconds_of(&bench, &two.bytes(), peaks);
    assert!((made - 7_201.0).abs() < 0.1, "{made}");
}

#[tokio::test]
async fn a_follower_leaves_a_jump_at_the_very_end_to_the_whole() {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, long_absence().bytes(), MP3, 2.0);
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::CantFollow { .. }) && error.is_permanent(), "{error}");
}

#[tokio::test]
async fn a_follower_doesnt_count_the_channels_of_a_track_that_never_came() {
    let bench = Bench::new();
    let mut film = opus_alone();
    film.add_opus_of(2);
    let mut recording = Recording::new(&bench, film.bytes(), WAV, 1.0);
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::CantFollow { .. }), "{error}");
}

fn frame_count(file: &Path) -> usize {
    let count = ["-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets"];
    support::ffprobe(file, &count).parse().unwrap()
}

#[test]
fn a_rate_that_isnt_exceeded_drops_nothing() {
    let bench = Bench::new();
    for (phase, jitter) in [(16, 1), (12, 9)] {
        let mut film = Film::default();
        let video = film.add_video("V_VP8", SMALL, 0.0);
        film.play(video, &frames(Codec::Vp8, SMALL), phase);
        for (number, block) in film.blocks.iter_mut().enumerate() {
            block.0 += number as i64 * 7 % (jitter + 1);
        }
        let input = bench.write("phase.webm", &film);
        let made = |rate: u32| {
            let video = format!(r#"{{"preset": "ultrafast", "frame_rate": {rate}, "height": 90}}"#);
            frame_count(&bench.make(&input, &format!(r#"{{"kind": "mp4", "video": {video}}}"#)).unwrap().0)
        };
        assert_eq!(made(30), 180, "phase {phase}, jitter {jitter}");
        let (ten, twenty) = (made(10), made(20));
        assert!((59..=61).contains(&ten) && (118..=122).contains(&twenty), "{ten} {twenty}");
    }
}

#[test]
fn the_last_picture_of_a_low_rate_ends_with_its_track() {
    let bench = Bench::new();
    let mut film = Film::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    film.play(video, &frames(Codec::Vp8, SMALL)[..35], 0);
    let input = bench.write("short.webm", &film);
    let (_, produced) =
        bench.make(&input, r#"{"kind": "mp4", "video": {"preset": "ultrafast", "frame_rate": 1}}"#).unwrap();
    assert!((produced.duration.as_secs_f64() - 1.167).abs() < 0.01, "{produced:?}");
}

/// A screen that is shared: one picture each three seconds.
fn still_video(pictures: usize) -> Film {
    let mut film = Film::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    for (number, frame) in frames(Codec::Vp8, SMALL)[..pictures].iter().enumerate() {
        let shown = testkit::signal::Frame { time: std::time::Duration::ZERO, ..frame.clone() };
        film.play(video, &[shown], number as i64 * 3_000);
    }
    film
}

#[test]
fn sparse_video_has_keyframes_by_time_and_its_own_rate() {
    let bench = Bench::new();
    let mut film = still_video(40);
    let busy = film.blocks.len() as i64 * 3_000;
    film.play(1, &frames(Codec::Vp8, SMALL), busy);
    let input = bench.write("sparse.webm", &film);
    for json in [MP4, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#] {
        let (output, _) = bench.make(&input, json).unwrap();
        let entries = ["-select_streams", "v", "-show_entries", "packet=pts_time,flags"];
        let packets = support::ffprobe(&output, &entries);
        let keyframes: Vec<f64> = packets
            .lines()
            .filter(|line| line.contains('K'))
            .map(|line| line.split(',').next().unwrap().parse().unwrap())
            .collect();
        let widest = keyframes.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest <= 7.0, "{json}: {keyframes:?}");
        // No more than one each four seconds where pictures are many.
        assert!(keyframes.iter().filter(|time| **time > 120.5).count() <= 2, "{json}: {keyframes:?}");
    }
}

#[test]
fn clocks_that_are_slewed_fast_make_no_clicks() {
    let bench = Bench::new();
    let path = bench.path("tone.ogg");
    let tone = ["-f", "lavfi", "-i", "sine=440:r=48000:d=8,volume=4", "-c:a", "libopus", "-b:a", "96k"];
    support::ffmpeg(&[&tone[..], &[path.to_str().unwrap()]].concat());
    for slew in [0.005, 0.011, 0.02, -0.02] {
        let mut film = Film::default();
        let audio = film.add_opus();
        for (number, packet) in support::ogg_packets(&path).into_iter().enumerate() {
            let time = number as f64 * 20.0;
            let slewed = time.clamp(2_000.0, 6_000.0) - 2_000.0;
            film.blocks.push(((time + slewed * slew).round() as i64, audio, true, packet.into()));
        }
        let input = bench.write("slewed.webm", &film);
        let samples = sound(&bench.make(&input, WAV).unwrap().0).samples;
        // The second difference of a sine is itself, scaled: a click stands out of it.
        let sharp: Vec<i32> = samples
            .windows(3)
            .map(|near| (i32::from(near[0]) - 2 * i32::from(near[1]) + i32::from(near[2])).abs())
            .collect();
        let usual = *sharp[24_000..90_000].iter().max().unwrap();
        let clicks =
            sharp[96_000..330_000].chunks(2_400).filter(|part| part.iter().any(|step| *step > usual * 2));
        assert_eq!(clicks.count(), 0, "{slew}");
    }
}
