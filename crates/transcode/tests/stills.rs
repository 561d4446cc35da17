//! Pictures, waveforms and mosaics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{
    FRAME, SECONDS, SIZE, TestDirectory, call, call_of_two, frames, luma, matroska::MatroskaFile, pictures,
};
use testkit::{signal::Codec, verify};
use transcode::TranscodeError;

#[test]
fn a_thumbnail_is_the_frame_shown_at_its_time() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    for (at, counter) in [(0.0, 0), (2.5, 75), (2.52, 75), (4.0, 120), (100.0, 179)] {
        let json = format!(r#"{{"kind": "thumbnail", "at": {at}}}"#);
        let (output, produced) = directory.make(&input, &json).unwrap();
        assert_eq!(pictures(&output)[0].counter, Some(counter), "at {at} s");
        assert_eq!((produced.width, produced.height, produced.duration.as_nanos()), (640, 360, 0));
    }
    let (_, produced) = directory.make(&input, r#"{"kind": "thumbnail", "width": 320}"#).unwrap();
    assert_eq!((produced.width, produced.height), (320, 180));
}

#[test]
fn a_contact_sheet_shows_frames_in_order() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let json = r#"{"kind": "contact_sheet", "columns": 3, "rows": 2, "width": 960}"#;
    let (output, produced) = directory.make(&input, json).unwrap();
    assert_eq!((produced.width, produced.height), (960, 360));
    let sheet = luma(&output, (960, 360), 0.0);
    for place in 0..6 {
        let (left, top) = (place % 3 * 320, place / 3 * 180);
        let cell: Vec<u8> =
            (0..180).flat_map(|row| sheet[(top + row) * 960 + left..][..320].to_vec()).collect();
        let counter = testkit::signal::read_counter(&cell, 320, 180);
        // The middle of each second.
        assert_eq!(counter, Some(place as u16 * 30 + 15), "place {place}");
    }
}

#[test]
fn pictures_without_video_fail_permanently() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE)[..50], 0);
    let input = directory.write("sound.webm", &film);
    for json in [r#"{"kind": "thumbnail"}"#, r#"{"kind": "contact_sheet"}"#, r#"{"kind": "mosaic"}"#] {
        let error = directory.make(&input, json).unwrap_err();
        assert!(
            matches!(error, TranscodeError::NoSuchTrack { .. }) && error.is_permanent(),
            "{json}: {error}"
        );
    }
    assert!(directory.leftovers(&input).is_empty());
}

fn waveform(json: &str) -> serde_json::Value {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let (output, produced) = directory.make(&input, json).unwrap();
    assert!((produced.duration.as_secs_f64() - f64::from(SECONDS)).abs() < 0.05);
    serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap()
}

#[test]
fn a_waveform_has_peaks_at_the_beeps() {
    let drawn = waveform(r#"{"kind": "waveform"}"#);
    let header =
        ["version", "channels", "sample_rate", "samples_per_pixel", "bits"].map(|name| drawn[name].as_i64());
    assert_eq!(header, [2, 1, 48_000, 2_400, 8].map(Some));
    let data: Vec<i64> =
        drawn["data"].as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).collect();
    let length = drawn["length"].as_u64().unwrap() as usize;
    assert_eq!(data.len(), length * 2);
    assert!((119..=121).contains(&length), "{length}");
    // Twenty pixels a second; the beep fills the first two.
    for second in 1..SECONDS as usize {
        let pixel = |at: usize| (data[(second * 20 + at) * 2], data[(second * 20 + at) * 2 + 1]);
        assert!(pixel(0).0 < -40 && pixel(0).1 > 40, "second {second}: {:?}", pixel(0));
        assert!(pixel(10).0 >= -2 && pixel(10).1 <= 2, "second {second}: {:?}", pixel(10));
    }
}

#[test]
fn a_waveform_has_the_requested_resolution() {
    let drawn = waveform(r#"{"kind": "waveform", "samples_per_pixel": 256, "bits": 16}"#);
    assert_eq!((drawn["samples_per_pixel"].as_i64(), drawn["bits"].as_i64()), (Some(256), Some(16)));
    let loudest =
        drawn["data"].as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).max().unwrap();
    assert!((10_000..=32_767).contains(&loudest), "{loudest}");
}

/// Whether the mosaic shows a video at a position. The signal's stripes lie between 40 and 124 and black is 16, but
/// noise and encoding can change a single pixel: the mean of some stripes decides.
fn is_someone_at(picture: &[u8], x: usize, y: usize) -> bool {
    let rows = y - 8..y + 8;
    let sum: u32 = rows.flat_map(|row| &picture[row * 640 + x - 64..][..128]).copied().map(u32::from).sum();
    sum / (16 * 128) > 50
}

fn assert_mosaic(format: &str, tolerance_ms: f64) {
    let directory = TestDirectory::new();
    // The second joins after 3 s and stays 3 s longer than the first.
    let input = directory.write("two.webm", &call_of_two(3_000));
    let json = format!(
        r#"{{"kind": "mosaic", "format": "{format}", "width": 640, "height": 360, "video": {{"preset": "ultrafast"}}}}"#
    );
    let (output, produced) = directory.make(&input, &json).unwrap();
    assert_eq!((produced.width, produced.height), SIZE);
    let probe = verify::probe(&output).unwrap();
    assert!((probe.duration().unwrap() - 9.0).abs() <= FRAME * 1.5, "{:?}", probe.duration());
    assert_eq!((probe.codecs("video").len(), probe.codecs("audio").len()), (1, 1));
    // One video fills the picture. Two are side by side, with black above and below.
    let (first, both, second) =
        (luma(&output, (640, 360), 1.5), luma(&output, (640, 360), 4.5), luma(&output, (640, 360), 7.5));
    let shows = |picture: &[u8], y: usize| [is_someone_at(picture, 160, y), is_someone_at(picture, 480, y)];
    assert_eq!((shows(&first, 20), shows(&second, 20)), ([true; 2], [true; 2]));
    assert_eq!((shows(&both, 20), shows(&both, 150), shows(&both, 340)), ([false; 2], [true; 2], [false; 2]));
    // Both counters, each in its cell.
    let cell = |left: usize| -> Vec<u8> {
        (0..180).flat_map(|row| both[(90 + row) * 640 + left..][..320].to_vec()).collect()
    };
    let counter = |left| testkit::signal::read_counter(&cell(left), 320, 180);
    assert_eq!((counter(0), counter(320)), (Some(135), Some(45)));
    let worst = support::worst_offset(&output);
    assert!(worst <= tolerance_ms, "{worst} ms");
    let shown = pictures(&output);
    assert!((269..=271).contains(&shown.len()), "{}", shown.len());
}

#[test]
fn a_mosaic_follows_the_active_videos() {
    assert_mosaic("mp4", 25.0);
}

#[test]
fn a_mosaic_can_be_webm() {
    assert_mosaic("webm", 10.0);
}

#[test]
fn h264_is_copied_into_mp4_with_its_rotation() {
    let directory = TestDirectory::new();
    let (mkv, turned) = (directory.path("plain.mkv"), directory.path("turned.mp4"));
    h264_and_pcma(&mkv);
    let (output, produced) = directory.make(&mkv, r#"{"kind": "mp4"}"#).unwrap();
    assert_eq!((produced.width, produced.height), SIZE);
    let sizes = |file: &Path| -> Vec<usize> {
        let packets = verify::packets(file).unwrap();
        packets.into_iter().filter(|packet| packet.stream == 0).map(|packet| packet.size).collect()
    };
    assert_eq!(sizes(&mkv), sizes(&output));
    assert_eq!(verify::probe(&output).unwrap().codecs("audio"), ["aac"]);
    assert!((produced.duration.as_secs_f64() - f64::from(SECONDS)).abs() <= FRAME * 1.1, "{produced:?}");
    let worst = support::worst_offset(&output);
    assert!(worst <= 25.0, "{worst} ms");

    let rotate = ["-metadata:s:v", "rotate=90", "-c", "copy", "-an"];
    support::ffmpeg(&[&["-i", mkv.to_str().unwrap()], &rotate[..], &[turned.to_str().unwrap()]].concat());
    let question = ["-select_streams", "v", "-show_entries", "stream_side_data=rotation"];
    let noted = support::ffprobe(&turned, &question);
    assert!(noted.contains("90"), "{noted}");
    let (output, _) = directory.make(&turned, r#"{"kind": "mp4"}"#).unwrap();
    assert_eq!(support::ffprobe(&output, &question), noted);
    assert_eq!(sizes(&mkv), sizes(&output));
    // If the video is encoded, the pixels are rotated and the file has no rotation.
    let (output, produced) =
        directory.make(&turned, r#"{"kind": "mp4", "video": {"preset": "ultrafast"}}"#).unwrap();
    assert_eq!((produced.width, produced.height), (360, 640));
    assert_eq!(support::ffprobe(&output, &question), "");
    let (have, want) = (luma(&output, (360, 640), 1.5), luma(&turned, (360, 640), 1.5));
    let apart: u64 = have.iter().zip(&want).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(apart / (360 * 640) < 8, "{apart}");
}

/// What a phone might send: H.264 and G.711.
fn h264_and_pcma(mkv: &Path) {
    let spec =
        testkit::signal::ClipSpec { codec: Codec::H264, size: SIZE, bit_rate: 1_000_000, seconds: SECONDS };
    let video = testkit::signal::clip_file(spec).unwrap();
    let spec =
        testkit::signal::ClipSpec { codec: Codec::Opus, size: (0, 0), bit_rate: 64_000, seconds: SECONDS };
    let audio = testkit::signal::clip_file(spec).unwrap();
    let input = ["-r", "30", "-f", "h264", "-i", video.to_str().unwrap(), "-i", audio.to_str().unwrap()];
    let codecs = ["-c:v", "copy", "-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"];
    support::ffmpeg(&[&input[..], &codecs[..], &[mkv.to_str().unwrap()]].concat());
}
