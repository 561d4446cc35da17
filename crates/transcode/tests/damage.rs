//! Inputs that are cut off, damaged, or no media at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use support::{Bench, SIZE, call, frames, matroska::Film, pictures};
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
fn a_file_that_is_cut_off_gives_what_was_there() {
    let bench = Bench::new();
    let whole = call().bytes();
    let input = bench.path("cut.webm");
    for tenth in [2, 5, 9] {
        std::fs::write(&input, &whole[..whole.len() * tenth / 10]).unwrap();
        let (output, produced) = bench.make(&input, KINDS[0]).unwrap();
        let expected = 0.6 * tenth as f64;
        // Keyframes are larger than other frames, so time and bytes don't run quite alike.
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
fn what_holds_no_media_is_unreadable_for_good() {
    let bench = Bench::new();
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
        let input = bench.path(name);
        std::fs::write(&input, bytes).unwrap();
        for json in KINDS {
            let error = bench.make(&input, json).unwrap_err();
            assert!(matches!(error, TranscodeError::Unreadable { .. }), "{name} {json}: {error:?}");
            assert!(error.is_permanent());
        }
        assert!(bench.leftovers(&input).is_empty(), "{name}");
        std::fs::remove_file(&input).unwrap();
    }
}

#[test]
fn an_input_that_is_not_there_may_be_there_later() {
    let bench = Bench::new();
    let error = bench.make(Path::new("/nowhere/at-all.webm"), KINDS[0]).unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error:?}");
}

#[test]
fn an_output_that_cant_be_written_may_be_later() {
    let bench = Bench::new();
    let input = bench.write("call.webm", &call());
    for json in KINDS {
        let mut plan = bench.plan(&input, json);
        plan.output = bench.path("missing/output");
        let error = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{json}: {error:?}");
    }
}

#[test]
fn a_full_disk_is_told_as_such() {
    let bench = Bench::new();
    let input = bench.write("call.webm", &call());
    for json in KINDS {
        let plan = bench.plan(&input, json);
        let part = PathBuf::from(format!("{}.part", plan.output.display()));
        // Whatever is written there finds no room.
        std::os::unix::fs::symlink("/dev/full", part).unwrap();
        let error = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(
            matches!(error, TranscodeError::DiskFull { .. }) && !error.is_permanent(),
            "{json}: {error:?}"
        );
        assert!(bench.leftovers(&input).is_empty());
    }
}

#[test]
fn what_is_cancelled_leaves_nothing() {
    let bench = Bench::new();
    let input = bench.write("call.webm", &call());
    for json in KINDS {
        let plan = bench.plan(&input, json);
        let cancelled = AtomicBool::new(false);
        // At the first sign of life.
        let error = transcode::run(&plan, &cancelled, &mut |_| cancelled.store(true, Relaxed)).unwrap_err();
        assert_eq!(error, TranscodeError::Cancelled, "{json}");
        assert!(bench.leftovers(&input).is_empty());
    }
}

#[test]
fn the_only_copy_is_never_written_over() {
    let bench = Bench::new();
    let input = bench.write("call.webm", &call());
    let mut plan = bench.plan(&input, KINDS[0]);
    plan.output.clone_from(&input);
    let error = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, TranscodeError::BadOption(_)), "{error:?}");
    assert_eq!(std::fs::read(&input).unwrap(), call().bytes());
}

#[test]
fn broken_frames_dont_lose_the_rest() {
    let bench = Bench::new();
    let mut film = call();
    let mut random = StdRng::seed_from_u64(3);
    // Of each second's frames some are noise, of any length, but for the keyframes.
    for (number, block) in film.blocks.iter_mut().enumerate() {
        if !block.2 && number % 17 == 5 || block.1 == 2 && number % 23 == 7 {
            let mut noise = vec![0; random.random_range(1..2_000)];
            random.fill_bytes(&mut noise);
            block.3 = noise.into();
        }
    }
    let input = bench.write("broken.webm", &film);
    let (output, produced) = bench.make(&input, KINDS[0]).unwrap();
    assert!((produced.duration.as_secs_f64() - 6.0).abs() < 0.1, "{produced:?}");
    let shown = pictures(&output);
    assert!(shown.len() > 120, "{}", shown.len());
    let (output, produced) = bench.make(&input, KINDS[1]).unwrap();
    assert!((produced.duration.as_secs_f64() - 6.0).abs() < 0.1, "{produced:?}");
    assert!(support::sound(&output).beeps().len() >= 5);
}

#[test]
fn a_timestamp_far_off_makes_no_hours_of_silence() {
    let bench = Bench::new();
    let mut film = Film::default();
    let audio = film.add_opus();
    film.play(audio, &frames(Codec::Opus, SIZE), 0);
    let mut bytes = film.bytes();
    // The cluster that begins at 3 s claims to begin ninety hours later.
    let cluster =
        bytes.windows(12).position(|window| window == [0xE7, 0x10, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x0B]);
    let cluster = cluster.or_else(|| {
        let three: Vec<u8> = [&[0xE7, 0x10, 0, 0, 8][..], &3_000_i64.to_be_bytes()].concat();
        bytes.windows(13).position(|window| window == three)
    });
    let at = cluster.expect("the cluster of second 3") + 5;
    bytes[at..at + 8].copy_from_slice(&(90 * 3_600_000_i64).to_be_bytes());
    let input = bench.path("far.webm");
    std::fs::write(&input, bytes).unwrap();
    let (_, produced) = bench.make(&input, r#"{"kind": "wav"}"#).unwrap();
    assert!((produced.duration.as_secs_f64() - 6.0).abs() < 0.1, "{produced:?}");
}
