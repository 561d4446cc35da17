//! Video whose size changes or is damaged, and sizes at the limits of encoders.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;

use support::{SIZE, TestDirectory, frames, matroska::MatroskaFile, pictures};
use testkit::{signal::Codec, verify};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transcode::{Limits, Progress, TranscodeError, Worker};

const SMALL: (u32, u32) = (320, 180);
const MP4: &str = r#"{"kind": "mp4", "video": {"preset": "ultrafast"}}"#;

/// Some frames in one size, then as many in another.
fn h264_that_changes(directory: &TestDirectory, sizes: [(u32, u32); 2]) -> PathBuf {
    let units: Vec<_> = sizes.into_iter().flat_map(|size| frames(Codec::H264, size)[..45].to_vec()).collect();
    let stream: Vec<u8> = units.iter().flat_map(|frame| frame.data.to_vec()).collect();
    let (raw, mkv) = (directory.path("changes.264"), directory.path("changes.mkv"));
    std::fs::write(&raw, stream).unwrap();
    let input = ["-r", "30", "-f", "h264", "-i", raw.to_str().unwrap()];
    support::ffmpeg(&[&input[..], &["-c", "copy", mkv.to_str().unwrap()]].concat());
    mkv
}

#[test]
fn h264_that_grows_is_encoded_at_its_largest_size_and_not_copied() {
    let directory = TestDirectory::new();
    let input = h264_that_changes(&directory, [SMALL, SIZE]);
    for json in [r#"{"kind": "mp4"}"#, MP4] {
        let (output, produced) = directory.make(&input, json).unwrap();
        assert_eq!((produced.width, produced.height), SIZE, "{json}");
        let shown = pictures(&output);
        assert_eq!(shown.len(), 90, "{json}");
        assert!(shown.iter().all(|picture| picture.counter.is_some()), "{json}");
    }
    let (_, produced) = directory.make(&input, r#"{"kind": "thumbnail", "at": 2.0}"#).unwrap();
    assert_eq!((produced.width, produced.height), SIZE);
    let (output, _) =
        directory.make(&h264_that_changes(&directory, [SIZE, SIZE]), r#"{"kind": "mp4"}"#).unwrap();
    let probe = verify::probe(&output).unwrap();
    assert_eq!((probe.streams[0].width, pictures(&output).len()), (640, 90));
}

#[test]
fn av1_that_grows_is_encoded_at_its_largest_size() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_AV1", SMALL, 0.0);
    film.add_frames(video, &frames(Codec::Av1, SMALL)[..45], 0);
    film.add_frames(video, &frames(Codec::Av1, SIZE)[..45], 1_500);
    let input = directory.write("grows.webm", &film);
    let (output, produced) = directory.make(&input, MP4).unwrap();
    assert_eq!((produced.width, produced.height), SIZE);
    assert_eq!(pictures(&output).len(), 90);
}

/// VP8 with a keyframe at least every second; the second keyframe declares another size.
fn vp8_that_claims(width: u16, height: u16) -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE), 0);
    let second = film.blocks.iter_mut().filter(|block| block.2).nth(1).unwrap();
    let mut data = second.3.to_vec();
    data[6..8].copy_from_slice(&width.to_le_bytes());
    data[8..10].copy_from_slice(&height.to_le_bytes());
    second.3 = data.into();
    film
}

#[test]
fn one_damaged_keyframe_does_not_enlarge_the_video() {
    let directory = TestDirectory::new();
    for (width, height) in [(16_383, 16_383), (5_000, 3_000), (2, 16_383)] {
        let input = directory.write("claims.webm", &vp8_that_claims(width, height));
        for json in [MP4, r#"{"kind": "contact_sheet", "columns": 2, "rows": 2, "width": 320}"#] {
            let (_, produced) = directory.make(&input, json).unwrap();
            let shape = f64::from(produced.width) / f64::from(produced.height);
            assert!((shape - 16.0 / 9.0).abs() < 0.01, "{width}×{height} {json}: {produced:?}");
            assert!(produced.width <= SIZE.0);
        }
    }
}

#[test]
fn the_size_of_a_single_intact_keyframe_counts() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SMALL)[..20], 0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE)[..20], 700);
    assert_eq!(film.blocks.iter().filter(|block| block.2).count(), 2);
    let input = directory.write("grows.webm", &film);
    let (_, produced) = directory.make(&input, MP4).unwrap();
    assert_eq!((produced.width, produced.height), SIZE);
}

#[test]
fn a_damaged_first_keyframe_loses_the_video_up_to_the_next_one() {
    let directory = TestDirectory::new();
    let all = frames(Codec::Vp8, SMALL);
    let between: Vec<_> = all.iter().filter(|frame| !frame.keyframe).take(20).cloned().collect();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    film.add_frames(video, &all[..1], 0);
    film.blocks[0].3 = vec![0xFF; film.blocks[0].3.len()].into();
    for turn in 0..20 {
        film.add_frames(video, &between, 40 + turn * 700);
    }
    film.add_frames(video, &all[..45], 15_000);
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    let input = directory.write("damaged.webm", &film);
    let (output, produced) = directory.make(&input, MP4).unwrap();
    assert_eq!((produced.width, produced.height), SMALL);
    let shown = pictures(&output);
    assert!(shown.len() == 45 && shown[0].time >= 14.9, "{}", shown.len());
    for json in [r#"{"kind": "thumbnail"}"#, r#"{"kind": "stem", "track": 0, "format": "mp4"}"#] {
        directory.make(&input, json).unwrap();
    }
}

#[test]
fn checked_parameters_work_for_video_of_any_aspect_ratio() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", (180, 320), 0.0);
    film.add_frames(video, &frames(Codec::Vp8, (180, 320))[..20], 0);
    let input = directory.write("portrait.webm", &film);
    for json in [
        r#"{"kind": "contact_sheet", "columns": 1, "rows": 20, "width": 2000}"#,
        r#"{"kind": "webm", "codec": "av1", "video": {"preset": "ultrafast", "height": 100}}"#,
        r#"{"kind": "webm", "codec": "av1", "video": {"preset": "ultrafast", "crf": 1}}"#,
        r#"{"kind": "webm", "codec": "av1", "video": {"preset": "ultrafast", "bit_rate": 100000000}}"#,
        r#"{"kind": "mp4", "video": {"preset": "ultrafast", "crf": 1}}"#,
    ] {
        let (output, _) = directory.make(&input, json).unwrap_or_else(|error| panic!("{json}: {error}"));
        verify::decode_strictly(&output).unwrap();
    }
    let (output, _) =
        directory.make(&input, r#"{"kind": "mp4", "video": {"preset": "ultrafast", "crf": 1}}"#).unwrap();
    let format = support::ffprobe(&output, &["-show_entries", "stream=pix_fmt"]);
    assert_eq!(format, "yuv420p");
}

/// The red, green and blue values in the middle of a picture, as a player shows it.
fn shown_colour(file: &std::path::Path) -> [u8; 3] {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    let at = output.stdout.len() / 2 / 3 * 3;
    [output.stdout[at], output.stdout[at + 1], output.stdout[at + 2]]
}

#[test]
fn full_range_and_both_colour_matrices_are_preserved() {
    let directory = TestDirectory::new();
    for (range, matrix) in [("pc", "bt470bg"), ("tv", "bt709"), ("pc", "bt709")] {
        let input = directory.path("colour.webm");
        let scale = format!("scale=out_range={range}:out_color_matrix={matrix},format=yuv420p");
        support::ffmpeg(
            &[
                &["-f", "lavfi", "-i", "color=0x20a040:s=160x120:r=10:d=1", "-vf", &scale][..],
                &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10"],
                &["-b:v", "0", "-color_range", range, "-colorspace", matrix, input.to_str().unwrap()],
            ]
            .concat(),
        );
        let expected = shown_colour(&input);
        for json in [MP4, r#"{"kind": "thumbnail"}"#] {
            let have = shown_colour(&directory.make(&input, json).unwrap().0);
            let apart = have.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(apart <= 6, "{range} {matrix} {json}: {have:?} for {expected:?}");
        }
        let tags = support::ffprobe(
            &directory.make(&input, MP4).unwrap().0,
            &["-show_entries", "stream=color_range,color_space"],
        );
        assert_eq!(tags, format!("tv,{matrix}"));
    }
}

async fn in_child(
    input: &std::path::Path,
    directory: &TestDirectory,
    json: &str,
    megabytes: u64,
) -> Result<(), TranscodeError> {
    let limits = Limits { memory_bytes: Some(megabytes << 20), ..Limits::default() };
    let worker = Worker { program: env!("CARGO_BIN_EXE_transcode-worker").into(), limits };
    let plan = directory.plan(input, json);
    worker.run(&plan, &CancellationToken::new(), watch::channel(Progress::default()).0).await.map(drop)
}

#[tokio::test]
async fn an_encoder_without_memory_has_an_error_of_its_own() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SMALL)[..20], 0);
    let input = directory.write("small.webm", &film);
    let json = r#"{"kind": "mp4", "video": {"width": 7680, "preset": "slower"}}"#;
    let error = in_child(&input, &directory, json, 500).await.unwrap_err();
    assert!(matches!(error, TranscodeError::OutOfMemory { .. }), "{error:?}");
}
