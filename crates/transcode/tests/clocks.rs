//! Timestamps that are damaged, sparse, uneven or drifting.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{
    TestDirectory, frames, level,
    matroska::MatroskaFile,
    recording::{MP3, TestRecording, WAV, opus_alone},
    sound, with_stray_cluster,
};
use testkit::signal::Codec;
use transcode::TranscodeError;

const SMALL: (u32, u32) = (320, 180);
const MP4: &str = r#"{"kind": "mp4", "video": {"preset": "ultrafast"}}"#;

fn seconds_of(directory: &TestDirectory, bytes: &[u8], json: &str) -> f64 {
    let input = directory.path("strays.webm");
    std::fs::write(&input, bytes).unwrap();
    directory.make(&input, json).unwrap().1.duration.as_secs_f64()
}

#[test]
fn only_a_cluster_with_a_damaged_timestamp_is_lost() {
    let directory = TestDirectory::new();
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
        let made = seconds_of(&directory, &with_stray_cluster(&film, second, claimed), WAV);
        assert!((made - expected).abs() < 0.1, "second {second} says {claimed}: {made} s");
    }
    let mut call = support::call();
    call.blocks.retain(|block| block.0 < 6_000);
    for second in [0, 5] {
        for json in [WAV, MP4] {
            let made = seconds_of(&directory, &with_stray_cluster(&call, second, 7_200), json);
            assert!((made - 6.0).abs() < 1.1, "{json}, second {second}: {made} s");
        }
    }
}

#[test]
fn a_damaged_timestamp_after_a_long_gap_does_not_lose_the_media_behind_the_gap() {
    let directory = TestDirectory::new();
    let mut film = opus_alone();
    let blocks = film.blocks.clone();
    for late in [600_000, 606_000] {
        film.blocks.extend(blocks.iter().cloned().map(|mut block| {
            block.0 += late;
            block
        }));
    }
    // The last second has the timestamp of second 7, within the gap.
    let bytes = with_stray_cluster(&film, 611, 7);
    let input = directory.path("hole.webm");
    std::fs::write(&input, bytes).unwrap();
    let (output, produced) = directory.make(&input, WAV).unwrap();
    assert!((produced.duration.as_secs_f64() - 611.0).abs() < 0.1, "{produced:?}");
    assert!(level(&sound(&output), 603.02, 603.08) > 5_000.0);
}

/// Six seconds, two hours without media, and one more second.
fn long_absence() -> MatroskaFile {
    let mut film = opus_alone();
    let last: Vec<_> = film.blocks.iter().filter(|block| block.0 < 1_000).cloned().collect();
    film.blocks.extend(last.into_iter().map(|mut block| {
        block.0 += 7_200_000;
        block
    }));
    film
}

#[test]
fn a_long_absence_is_preserved_if_the_header_or_another_track_confirms_it() {
    let directory = TestDirectory::new();
    let peaks = r#"{"kind": "waveform", "pixels_per_second": 1}"#;
    let mut sealed = long_absence();
    sealed.duration = Some(7_201_000.0);
    let made = seconds_of(&directory, &sealed.bytes(), peaks);
    assert!((made - 7_201.0).abs() < 0.1, "{made}");
    sealed.duration = Some(6_000.0);
    let made = seconds_of(&directory, &sealed.bytes(), peaks);
    assert!((made - 6.0).abs() < 0.1, "{made}");
    let mut two = long_absence();
    let video = two.add_video("V_VP8", SMALL, 0.0);
    let picture = frames(Codec::Vp8, SMALL)[0].clone();
    for minute in 0..120 {
        two.add_frames(video, std::slice::from_ref(&picture), minute * 60_000);
    }
    let made = seconds_of(&directory, &two.bytes(), peaks);
    assert!((made - 7_201.0).abs() < 0.1, "{made}");
}

#[tokio::test]
async fn a_follower_refuses_a_jump_at_the_end_of_the_file() {
    let directory = TestDirectory::new();
    let mut recording = TestRecording::new(&directory, long_absence().bytes(), MP3, 2.0);
    let error = recording.finish().await.unwrap_err();
    assert!(matches!(error, TranscodeError::CantFollow { .. }) && error.is_permanent(), "{error}");
}

#[tokio::test]
async fn a_track_without_packets_ends_following_if_its_channels_would_change_the_mix() {
    let directory = TestDirectory::new();
    let mut film = opus_alone();
    film.add_opus_of(2);
    let mut recording = TestRecording::new(&directory, film.bytes(), WAV, 1.0);
    let error = recording.finish().await.unwrap_err();
    assert!(matches!(error, TranscodeError::CantFollow { .. }), "{error}");
}

fn frame_count(file: &Path) -> usize {
    let count = ["-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets"];
    support::ffprobe(file, &count).parse().unwrap()
}

#[test]
fn a_frame_rate_limit_above_the_rate_drops_no_frame() {
    let directory = TestDirectory::new();
    for (phase, jitter) in [(16, 1), (12, 9)] {
        let mut film = MatroskaFile::default();
        let video = film.add_video("V_VP8", SMALL, 0.0);
        film.add_frames(video, &frames(Codec::Vp8, SMALL), phase);
        for (number, block) in film.blocks.iter_mut().enumerate() {
            block.0 += number as i64 * 7 % (jitter + 1);
        }
        let input = directory.write("phase.webm", &film);
        let made = |rate: u32| {
            let video = format!(r#"{{"preset": "ultrafast", "frame_rate": {rate}, "height": 90}}"#);
            frame_count(
                &directory.make(&input, &format!(r#"{{"kind": "mp4", "video": {video}}}"#)).unwrap().0,
            )
        };
        assert_eq!(made(30), 180, "phase {phase}, jitter {jitter}");
        let (ten, twenty) = (made(10), made(20));
        assert!((59..=61).contains(&ten) && (118..=122).contains(&twenty), "{ten} {twenty}");
    }
}

#[test]
fn the_last_frame_of_a_low_rate_ends_with_its_track() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SMALL)[..35], 0);
    let input = directory.write("short.webm", &film);
    let (_, produced) = directory
        .make(&input, r#"{"kind": "mp4", "video": {"preset": "ultrafast", "frame_rate": 1}}"#)
        .unwrap();
    assert!((produced.duration.as_secs_f64() - 1.167).abs() < 0.01, "{produced:?}");
}

/// A shared screen: one frame every three seconds.
fn still_video(pictures: usize) -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    for (number, frame) in frames(Codec::Vp8, SMALL)[..pictures].iter().enumerate() {
        let shown = testkit::signal::Frame { time: std::time::Duration::ZERO, ..frame.clone() };
        film.add_frames(video, &[shown], number as i64 * 3_000);
    }
    film
}

#[test]
fn sparse_video_has_keyframes_by_time_and_its_own_frame_rate() {
    let directory = TestDirectory::new();
    let mut film = still_video(40);
    let busy = film.blocks.len() as i64 * 3_000;
    film.add_frames(1, &frames(Codec::Vp8, SMALL), busy);
    let input = directory.write("sparse.webm", &film);
    for json in [MP4, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#] {
        let (output, _) = directory.make(&input, json).unwrap();
        let entries = ["-select_streams", "v", "-show_entries", "packet=pts_time,flags"];
        let packets = support::ffprobe(&output, &entries);
        let keyframes: Vec<f64> = packets
            .lines()
            .filter(|line| line.contains('K'))
            .map(|line| line.split(',').next().unwrap().parse().unwrap())
            .collect();
        let widest = keyframes.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest <= 7.0, "{json}: {keyframes:?}");
        // At most one every four seconds if frames are frequent.
        assert!(keyframes.iter().filter(|time| **time > 120.5).count() <= 2, "{json}: {keyframes:?}");
    }
}

#[test]
fn a_fast_slewed_clock_causes_no_clicks() {
    let directory = TestDirectory::new();
    let path = directory.path("tone.ogg");
    let tone = ["-f", "lavfi", "-i", "sine=440:r=48000:d=8,volume=4", "-c:a", "libopus", "-b:a", "96k"];
    support::ffmpeg(&[&tone[..], &[path.to_str().unwrap()]].concat());
    for slew in [0.005, 0.011, 0.02, -0.02] {
        let mut film = MatroskaFile::default();
        let audio = film.add_opus();
        for (number, packet) in support::ogg_packets(&path).into_iter().enumerate() {
            let time = number as f64 * 20.0;
            let slewed = time.clamp(2_000.0, 6_000.0) - 2_000.0;
            film.blocks.push(((time + slewed * slew).round() as i64, audio, true, packet.into()));
        }
        let input = directory.write("slewed.webm", &film);
        let samples = sound(&directory.make(&input, WAV).unwrap().0).samples;
        // The second difference of a sine is a scaled sine; a click exceeds it.
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
