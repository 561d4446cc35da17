//! Mosaics of many, still and late videos.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{TestDirectory, frames, matroska::MatroskaFile, pictures};
use testkit::signal::Codec;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transcode::{Limits, Progress, Worker};

const SMALL: (u32, u32) = (320, 180);
const MOSAIC: &str =
    r#"{"kind": "mosaic", "width": 320, "height": 180, "frame_rate": 10, "video": {"preset": "ultrafast"}}"#;

#[tokio::test]
async fn a_mosaic_of_forty_videos_fits_into_memory() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    for number in 0..40 {
        let video = film.add_video("V_VP8", SMALL, 0.0);
        film.add_frames(video, &frames(Codec::Vp8, SMALL)[..10], number * 20);
    }
    let input = directory.write("forty.webm", &film);
    let limits = Limits { memory_bytes: Some(700 << 20), ..Limits::default() };
    let worker = Worker { program: env!("CARGO_BIN_EXE_transcode-worker").into(), limits };
    let plan = directory.plan(&input, MOSAIC);
    worker.run(&plan, &CancellationToken::new(), watch::channel(Progress::default()).0).await.unwrap();
    // All forty at once; the last row is centred.
    let grid = support::luma(&plan.output, (320, 180), 0.85);
    let lit =
        |x: usize, y: usize| (0..8).any(|row| grid[(y + row) * 320 + x..][..8].iter().any(|at| *at > 40));
    assert!(lit(20, 12) && lit(300, 12) && lit(160, 130));
}

#[test]
fn a_still_video_is_shown_all_the_time() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    for (number, frame) in frames(Codec::Vp8, SMALL)[..6].iter().enumerate() {
        let shown = testkit::signal::Frame { time: std::time::Duration::ZERO, ..frame.clone() };
        film.add_frames(video, &[shown], number as i64 * 4_000);
    }
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SMALL), 23_000);
    let input = directory.write("still.webm", &film);
    let (output, _) = directory.make(&input, MOSAIC).unwrap();
    let shown = pictures(&output);
    for (tick, picture) in shown.iter().enumerate() {
        assert_eq!(picture.counter, Some((tick as u16 / 40).min(5)), "tick {tick}");
    }
    assert!((289..=291).contains(&shown.len()), "{}", shown.len());
}

#[test]
fn a_mosaic_is_no_longer_than_its_videos() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SMALL, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SMALL)[..60], 0);
    let input = directory.write("two.webm", &film);
    let (_, produced) = directory.make(&input, &MOSAIC.replace("10", "30")).unwrap();
    assert!((produced.duration.as_secs_f64() - 2.0).abs() < 0.01, "{produced:?}");
}

#[test]
fn av1_frames_are_shown_at_their_times() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_AV1", SMALL, 0.0);
    for (number, frame) in frames(Codec::Av1, SMALL)[..10].iter().enumerate() {
        let shown = testkit::signal::Frame { time: std::time::Duration::ZERO, ..frame.clone() };
        film.add_frames(video, &[shown], number as i64 * 400);
    }
    let input = directory.write("slow.webm", &film);
    let (output, _) = directory.make(&input, MOSAIC).unwrap();
    for (tick, picture) in pictures(&output).iter().take(40).enumerate() {
        assert_eq!(picture.counter, Some(tick as u16 / 4), "tick {tick}");
    }
}
