//! Following an open recording: segments while it is written, and the joined file after its end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{path::PathBuf, time::Duration};

use support::{
    SECONDS, SIZE, TestDirectory, call, call_of_two, damaged,
    recording::{MP3, OGG, TestRecording, WAV, assert_equals_run, long_call, opus_alone, parts},
    sound,
};
use transcode::TranscodeError;

#[tokio::test]
async fn segments_are_written_while_the_file_is_open_and_join_to_the_file_of_a_run() {
    let film = long_call(4);
    for json in [
        r#"{"kind": "mp3"}"#,
        r#"{"kind": "wav"}"#,
        r#"{"kind": "wav", "sample_rate": 16000, "channels": 2}"#,
        r#"{"kind": "mix"}"#,
        r#"{"kind": "mix", "format": "wav", "channels": 2}"#,
        r#"{"kind": "ogg_opus", "audio": {"bit_rate": 32000}}"#,
    ] {
        let directory = TestDirectory::new();
        let bytes = film.bytes();
        let most = bytes.len() * 3 / 4;
        let mut recording = TestRecording::new(&directory, bytes, json, 5.0);
        recording.write_until(most).await;
        for number in 0..2 {
            assert_eq!(recording.next_segment().await.number, number, "{json}");
        }
        recording.assert_equals_run().await;
        assert_eq!(recording.segments.len(), 5, "{json}");
        assert_eq!(parts(&directory), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn a_late_track_is_mixed_as_in_a_run() {
    for json in [MP3, OGG, WAV] {
        let (_bench, joined, count) = assert_equals_run(call_of_two(3_300).bytes(), json, 2.0).await;
        assert_eq!(count, 5, "{json}");
        let beeps = sound(&joined).beeps();
        assert!((beeps[beeps.len() - 1] - 8.3).abs() < 0.025, "{json}: {beeps:?}");
    }
}

#[tokio::test]
async fn gaps_become_silence_as_in_a_run() {
    let mut film = call_of_two(100);
    // A lost packet here and there, silence suppression of one track, and a long pause of both.
    film.blocks.retain(|block| block.0 % 700 != 0 || block.0 == 0);
    film.blocks.retain(|block| block.1 != 2 || !(1_200..1_700).contains(&block.0));
    for block in &mut film.blocks {
        block.0 += if block.0 >= 3_000 { 30_000 } else { 0 };
    }
    for json in [MP3, OGG, WAV] {
        assert_eq!(assert_equals_run(film.bytes(), json, 7.0).await.2, 6, "{json}");
    }
}

#[tokio::test]
async fn tracks_without_packets_do_not_delay_the_others() {
    let directory = TestDirectory::new();
    let mut film = opus_alone();
    film.add_opus();
    film.add_video("V_VP8", SIZE, 0.0);
    let blocks = film.blocks.clone();
    for turn in 1..4 {
        film.blocks.extend(blocks.iter().cloned().map(|mut block| {
            block.0 += turn * 6_000;
            block
        }));
    }
    let bytes = film.bytes();
    let most = bytes.len() * 3 / 4;
    let mut recording = TestRecording::new(&directory, bytes, WAV, 1.0);
    recording.write_until(most).await;
    for _ in 0..10 {
        recording.next_segment().await;
    }
    recording.assert_equals_run().await;
    assert_eq!(recording.segments.len(), 24);
}

/// A file that ffmpeg writes, with cues.
fn by_ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let directory = TestDirectory::new();
    let path = directory.path("source.mka");
    support::ffmpeg(&[arguments, &[path.to_str().unwrap()]].concat());
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn mono_stereo_telephony_and_pcm_are_mixed_as_in_a_run() {
    let tone = |hertz: u32, rate: u32| format!("sine={hertz}:r={rate}:d=9");
    let (a, b, c, d, e) =
        (tone(440, 48_000), tone(550, 8_000), tone(660, 8_000), tone(770, 16_000), tone(880, 16_000));
    let inputs = [&a, &b, &c, &d, &e].map(|source| ["-f", "lavfi", "-i", source]).concat();
    let maps = ["0", "1", "2", "3", "4"].map(|input| ["-map", input]).concat();
    let codecs = ["libopus", "pcm_mulaw", "pcm_alaw", "pcm_s16le", "g722"];
    let kinds = ["-c:a:0", "-c:a:1", "-c:a:2", "-c:a:3", "-c:a:4"];
    let coding: Vec<&str> = kinds.into_iter().zip(codecs).flat_map(|(kind, codec)| [kind, codec]).collect();
    let bytes = by_ffmpeg(&[&inputs[..], &maps, &coding, &["-ac:a:0", "2"]].concat());
    for json in [MP3, OGG, WAV] {
        let (_bench, joined, count) = assert_equals_run(bytes.clone(), json, 2.5).await;
        assert_eq!(count, 4, "{json}");
        assert_eq!(support::ffprobe(&joined, &["-show_entries", "stream=channels"]), "2", "{json}");
    }
}

#[tokio::test]
async fn pushed_pcm_has_its_own_sample_rate_as_in_a_run() {
    let bytes = by_ffmpeg(&["-f", "lavfi", "-i", "anoisesrc=r=16000:d=5", "-c:a", "pcm_s16le"]);
    let (_bench, joined, count) = assert_equals_run(bytes, WAV, 1.0).await;
    assert_eq!(
        (count, support::ffprobe(&joined, &["-show_entries", "stream=sample_rate"])),
        (5, "16000".to_owned())
    );
}

/// The second difference of samples.
fn steps(samples: &[i16]) -> Vec<f64> {
    samples
        .windows(3)
        .map(|near| f64::from(near[0]) - 2.0 * f64::from(near[1]) + f64::from(near[2]))
        .collect()
}

#[tokio::test]
async fn a_sine_is_joined_without_gap_or_click() {
    for (hertz, interval) in [(440.0, 1.0), (997.0, 1.37)] {
        let source = format!("sine={hertz}:r=48000:d=12,volume=4");
        let bytes = by_ffmpeg(&["-f", "lavfi", "-i", &source, "-c:a", "libopus", "-b:a", "96k"]);
        for json in [MP3, WAV, r#"{"kind": "ogg_opus", "audio": {"bit_rate": 96000}}"#] {
            let directory = TestDirectory::new();
            let mut recording = TestRecording::new(&directory, bytes.clone(), json, interval);
            let joined = recording.assert_equals_run().await;
            let whole = sound(&directory.path("finished.webm")).samples;
            let samples = sound(&joined).samples;
            let missing = whole.len().abs_diff(samples.len());
            // Not every decoder removes the padding of an MP3 encoder.
            assert!(
                missing < if json == MP3 { 1_152 } else { 48 },
                "{json}: {} samples of {}",
                samples.len(),
                whole.len()
            );
            // The second difference of a sine is a scaled sine; a click or a step in phase exceeds it.
            let sharp = steps(&samples);
            let worst = |from: f64, to: f64| {
                let at = |time: f64| ((time * 48_000.0) as usize).min(sharp.len());
                sharp[at(from)..at(to)].iter().fold(0.0, |most: f64, step| most.max(step.abs()))
            };
            let joins: Vec<f64> =
                recording.segments.iter().skip(1).map(|segment| segment.start.as_secs_f64()).collect();
            assert!(joins.len() >= 8, "{joins:?}");
            let within = joins.iter().map(|join| worst(join + 0.3, join + 0.6)).fold(0.0, f64::max);
            for join in joins {
                let across = worst(join - 0.06, (join + 0.06).min(11.9));
                assert!(across <= within * 1.05, "{json} at {join}: {across} against {within}");
            }
            assert_eq!(recording.segments[0].start, Duration::ZERO);
        }
    }
}

#[tokio::test]
async fn a_recording_shorter_than_a_segment_has_one() {
    let mut film = opus_alone();
    film.blocks.truncate(20);
    for json in [MP3, WAV] {
        assert_eq!(assert_equals_run(film.bytes(), json, 10.0).await.2, 1, "{json}");
    }
    film.blocks.truncate(1);
    for json in [MP3, WAV] {
        assert_eq!(assert_equals_run(film.bytes(), json, 10.0).await.2, 1, "{json}");
    }
}

#[tokio::test]
async fn an_end_at_a_boundary_adds_no_empty_segment() {
    // PCM is written 4,096 samples at a time; twelve of these are a segment, and 36 the recording.
    let tone = ["-f", "lavfi", "-i", "sine=440:r=48000:d=3.072", "-c:a", "pcm_s16le"];
    let (_bench, joined, count) = assert_equals_run(by_ffmpeg(&tone), WAV, 1.024).await;
    assert_eq!((count, sound(&joined).samples.len()), (3, 36 * 4_096));
    let (_bench, _, count) = assert_equals_run(opus_alone().bytes(), WAV, f64::from(SECONDS)).await;
    assert_eq!(count, 1);
}

#[tokio::test]
async fn damage_in_the_middle_loses_only_itself() {
    let directory = TestDirectory::new();
    let mut bytes = long_call(4).bytes();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0x55);
    let mut recording = TestRecording::new(&directory, bytes, MP3, 5.0);
    let (joined, produced) = recording.finish().await.unwrap();
    assert!((produced.duration.as_secs_f64() - 24.0).abs() < 0.1, "{produced:?}");
    assert_eq!(recording.segments.len(), 5);
    assert!(sound(&joined).beeps().len() >= 21, "{:?}", sound(&joined).beeps());
}

/// Sixty recordings, each damaged in a few places.
#[tokio::test]
async fn damaged_recordings_never_hang_and_leave_no_incomplete_file() {
    let whole = call().bytes();
    let (mut made, mut refused) = (0, 0);
    for seed in 0..60 {
        let directory = TestDirectory::new();
        let mut recording = TestRecording::new(&directory, damaged(&whole, seed), MP3, 1.0);
        match recording.finish().await {
            Ok(_) => made += 1,
            Err(error) => {
                // Damage is a permanent error.
                assert!(error.is_permanent(), "seed {seed}: {error}");
                refused += 1;
            }
        }
        assert_eq!(parts(&directory), Vec::<PathBuf>::new(), "seed {seed}");
    }
    assert!(made > 40, "{made} made, {refused} refused");
}

#[tokio::test]
async fn a_damaged_timestamp_does_not_add_hours_of_silence() {
    let mut film = opus_alone();
    let strays = film.blocks.iter_mut().filter(|block| (3_000..4_000).contains(&block.0));
    strays.for_each(|block| block.0 += 90 * 3_600_000);
    film.in_this_order = true;
    assert_equals_run(film.bytes(), WAV, 2.0).await;
}

#[tokio::test]
async fn a_packet_too_late_for_its_segment_ends_following() {
    let directory = TestDirectory::new();
    let mut film = call_of_two(0);
    // In the file, the second participant is four seconds behind the first.
    film.blocks.sort_by_key(|block| block.0 + if block.1 == 4 { 4_000 } else { 0 });
    film.in_this_order = true;
    let mut recording = TestRecording::new(&directory, film.bytes(), MP3, 1.0);
    let error = recording.finish().await.unwrap_err();
    assert!(matches!(error, TranscodeError::CantFollow { .. }) && error.is_permanent(), "{error}");
}
