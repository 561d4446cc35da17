//! Inputs that are truncated, damaged, or not media at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use support::{SIZE, TestDirectory, call, frames, matroska::MatroskaFile, pictures};
use testkit::{signal::Codec, verify};
use transcode::TranscodeError;

const KINDS: [&str; 5] = [
    r#"{"kind": "mp4", "video": {"preset": "ultrafast"}}"#,
    r#"{"kind": "mp3"}"#,
    r#"{"kind": "thumbnail"}"#,
    r#"{"kind": "waveform"}"#,
    r#"{"kind": "mosaic", "width": 320, "height": 180, "video": {"preset": "ultrafast"}}"#,
];

#[test]
fn a_truncated_file_is_rendered_up_to_its_end() {
    let directory = TestDirectory::new();
    let whole = call().bytes();
    let input = directory.path("cut.webm");
    for tenth in [2, 5, 9] {
        std::fs::write(&input, &whole[..whole.len() * tenth / 10]).unwrap();
        let (output, produced) = directory.make(&input, KINDS[0]).unwrap();
        let expected = 0.6 * tenth as f64;
        // Keyframes are larger than other frames, so time isn't exactly proportional to bytes.
        let duration = produced.duration.as_secs_f64();
        assert!((duration - expected).abs() < 0.8, "{tenth}/10: {duration} s");
        verify::decode_strictly(&output).unwrap();
        let shown = pictures(&output);
        assert!((shown.len() as f64 / 30.0 - duration).abs() < 0.1, "{tenth}/10: {}", shown.len());
        assert!(shown.iter().all(|picture| picture.counter.is_some()));
        let worst = support::level(&support::sound(&output), 1.02, 1.08);
        assert!(worst > 5_000.0, "the beep of second 1");
    }
}

#[test]
fn an_input_without_media_is_permanently_unreadable() {
    let directory = TestDirectory::new();
    let mut noise = vec![0; 100_000];
    StdRng::seed_from_u64(7).fill_bytes(&mut noise);
    let whole = call().bytes();
    let inputs: [(&str, &[u8]); 5] = [
        ("empty", &[]),
        ("noise", &noise),
        ("head", &whole[..200]),
        ("text", b"#EXTM3U\nfile:///etc/passwd\n"),
        ("zeros", &[0; 4_096]),
    ];
    for (name, bytes) in inputs {
        let input = directory.path(name);
        std::fs::write(&input, bytes).unwrap();
        for json in KINDS {
            let error = directory.make(&input, json).unwrap_err();
            assert!(matches!(error, TranscodeError::Unreadable { .. }), "{name} {json}: {error:?}");
            assert!(error.is_permanent());
        }
        assert!(directory.leftovers(&input).is_empty(), "{name}");
        std::fs::remove_file(&input).unwrap();
    }
}

#[test]
fn a_missing_input_is_a_transient_error() {
    let directory = TestDirectory::new();
    let error = directory.make(Path::new("/nowhere/at-all.webm"), KINDS[0]).unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error:?}");
}

#[test]
fn an_output_that_cannot_be_written_is_a_transient_error() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    for json in KINDS {
        let mut plan = directory.plan(&input, json);
        plan.output = directory.path("missing/output");
        let error = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{json}: {error:?}");
    }
}

#[test]
fn a_full_disk_has_an_error_of_its_own() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    for json in KINDS {
        let plan = directory.plan(&input, json);
        let part = PathBuf::from(format!("{}.part", plan.output.display()));
        // Every write fails with ENOSPC.
        std::os::unix::fs::symlink("/dev/full", part).unwrap();
        let error = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(
            matches!(error, TranscodeError::DiskFull { .. }) && !error.is_permanent(),
            "{json}: {error:?}"
        );
        assert!(directory.leftovers(&input).is_empty());
    }
}

#[test]
fn a_cancelled_run_leaves_no_file() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    for json in KINDS {
        let plan = directory.plan(&input, json);
        let cancelled = AtomicBool::new(false);
        // At the first report.
        let error = transcode::run(&plan, &cancelled, &mut |_| cancelled.store(true, Relaxed)).unwrap_err();
        assert_eq!(error, TranscodeError::Cancelled, "{json}");
        assert!(directory.leftovers(&input).is_empty());
    }
}

#[test]
fn the_input_is_never_overwritten() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let mut plan = directory.plan(&input, KINDS[0]);
    plan.output.clone_from(&input);
    let error = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, TranscodeError::BadOption(_)), "{error:?}");
    assert_eq!(std::fs::read(&input).unwrap(), call().bytes());
}

#[test]
fn broken_frames_do_not_lose_the_others() {
    let directory = TestDirectory::new();
    let mut film = call();
    let mut random = StdRng::seed_from_u64(3);
    // Some frames of each second, but no keyframes, become noise of any length.
    for (number, block) in film.blocks.iter_mut().enumerate() {
        if !block.2 && number % 17 == 5 || block.1 == 2 && number % 23 == 7 {
            let mut noise = vec![0; random.random_range(1..2_000)];
            random.fill_bytes(&mut noise);
            block.3 = noise.into();
        }
    }
    let input = directory.write("broken.webm", &film);
    let (output, produced) = directory.make(&input, KINDS[0]).unwrap();
    assert!((produced.duration.as_secs_f64() - 6.0).abs() < 0.1, "{produced:?}");
    let shown = pictures(&output);
    assert!(shown.len() > 120, "{}", shown.len());
    let (output, produced) = directory.make(&input, KINDS[1]).unwrap();
    assert!((produced.duration.as_secs_f64() - 6.0).abs() < 0.1, "{produced:?}");
    assert!(support::sound(&output).beeps().len() >= 5);
}

#[test]
fn a_damaged_timestamp_does_not_add_hours_of_silence() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    let mut bytes = film.bytes();
    // The cluster that begins at 3 s has a timestamp ninety hours later.
    let cluster =
        bytes.windows(12).position(|window| window == [0xE7, 0x10, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x0B]);
    let cluster = cluster.or_else(|| {
        let three: Vec<u8> = [&[0xE7, 0x10, 0, 0, 8][..], &3_000_i64.to_be_bytes()].concat();
        bytes.windows(13).position(|window| window == three)
    });
    let at = cluster.expect("the cluster of second 3") + 5;
    bytes[at..at + 8].copy_from_slice(&(90 * 3_600_000_i64).to_be_bytes());
    let input = directory.path("far.webm");
    std::fs::write(&input, bytes).unwrap();
    let (_, produced) = directory.make(&input, r#"{"kind": "wav"}"#).unwrap();
    assert!((produced.duration.as_secs_f64() - 6.0).abs() < 0.1, "{produced:?}");
}
