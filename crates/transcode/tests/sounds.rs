//! Audio files: each beep at its time, gaps as silence.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{
    SECONDS, SIZE, TestDirectory, call, call_of_two, ffprobe, frames, level, matroska::MatroskaFile, sound,
};
use testkit::{signal::Codec, verify};
use transcode::TranscodeError;

fn opus_alone() -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    film
}

/// The worst distance of a beep from its whole second, in milliseconds.
fn worst_beep(file: &Path, seconds: impl IntoIterator<Item = u32>) -> f64 {
    let beeps = sound(file).beeps();
    let distance = |second: u32| {
        beeps.iter().map(|beep| (beep - f64::from(second)).abs() * 1_000.0).fold(f64::INFINITY, f64::min)
    };
    seconds.into_iter().map(distance).fold(0.0, f64::max)
}

fn assert_sound(json: &str, codec: &str, tolerance_ms: f64) {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let (output, produced) = directory.make(&input, json).unwrap();
    let probe = verify::probe(&output).unwrap();
    assert_eq!((probe.codecs("audio"), probe.codecs("video")), (vec![codec], vec![]));
    let decoded = sound(&output).samples.len() as f64 / 48_000.0;
    assert!((decoded - f64::from(SECONDS)).abs() <= 0.05, "{decoded} s");
    assert!((produced.duration.as_secs_f64() - f64::from(SECONDS)).abs() <= 0.05, "{produced:?}");
    assert_eq!((produced.width, produced.height), (0, 0));
    let worst = worst_beep(&output, 0..SECONDS);
    assert!(worst <= tolerance_ms, "{worst} ms");
}

#[test]
fn mp3_has_every_beep_at_its_time() {
    assert_sound(r#"{"kind": "mp3"}"#, "mp3", 25.0);
}

#[test]
fn ogg_opus_has_every_beep_at_its_time() {
    assert_sound(r#"{"kind": "ogg_opus"}"#, "opus", 10.0);
    assert_sound(r#"{"kind": "ogg_opus", "audio": {"bit_rate": 24000}}"#, "opus", 10.0);
}

#[test]
fn wav_has_every_beep_at_its_time() {
    assert_sound(r#"{"kind": "wav"}"#, "pcm_s16le", 2.0);
    assert_sound(r#"{"kind": "wav", "sample_rate": 16000, "channels": 2}"#, "pcm_s16le", 2.0);
    assert_sound(r#"{"kind": "mix", "format": "wav"}"#, "pcm_s16le", 2.0);
}

#[test]
fn opus_without_gaps_is_copied_into_ogg() {
    let directory = TestDirectory::new();
    let input = directory.write("opus.webm", &opus_alone());
    let (output, _) = directory.make(&input, r#"{"kind": "ogg_opus"}"#).unwrap();
    let sizes = |file: &Path| -> Vec<usize> {
        verify::packets(file).unwrap().into_iter().map(|packet| packet.size).collect()
    };
    assert_eq!(sizes(&input), sizes(&output));
}

#[test]
fn gaps_become_silence_of_the_same_length() {
    let directory = TestDirectory::new();
    let mut film = opus_alone();
    // A lost packet here and there, half a second of silence suppression, and a long pause.
    film.blocks.retain(|block| block.0 % 700 != 0 || block.0 == 0);
    film.blocks.retain(|block| !(1_200..1_700).contains(&block.0));
    for block in &mut film.blocks {
        block.0 += if block.0 >= 3_000 { 30_000 } else { 0 };
    }
    let input = directory.write("holes.webm", &film);
    for (json, tolerance) in [
        (r#"{"kind": "wav"}"#, 2.0),
        (r#"{"kind": "mp3"}"#, 25.0),
        (r#"{"kind": "ogg_opus"}"#, 10.0),
        (r#"{"kind": "mp4"}"#, 25.0),
        (r#"{"kind": "webm"}"#, 10.0),
    ] {
        let (output, produced) = directory.make(&input, json).unwrap();
        let worst = worst_beep(&output, [0, 1, 2, 33, 34, 35]);
        assert!(worst <= tolerance, "{json}: {worst} ms");
        assert!((produced.duration.as_secs_f64() - 36.0).abs() < 0.06, "{json}: {produced:?}");
        assert!(level(&sound(&output), 3.1, 32.9) < 50.0, "{json}");
    }
}

#[test]
fn a_drifting_clock_is_followed_without_a_gap() {
    let directory = TestDirectory::new();
    let mut film = opus_alone();
    // 3,000 ppm slow: eighteen milliseconds in six seconds.
    for block in &mut film.blocks {
        block.0 += (block.0 as f64 * 0.003).round() as i64;
    }
    let input = directory.write("drift.webm", &film);
    let (output, _) = directory.make(&input, r#"{"kind": "wav"}"#).unwrap();
    let beeps = sound(&output).beeps();
    for second in 0..SECONDS {
        let expected = f64::from(second) * 1.003;
        let nearest = beeps.iter().map(|beep| (beep - expected).abs()).fold(f64::INFINITY, f64::min);
        assert!(nearest < 0.006, "{second}: {nearest} s");
    }
    // A beep has no gap: no two consecutive samples of the tone are zero.
    let samples = sound(&output).samples;
    let at = |time: f64| (time * 48_000.0) as usize;
    let tone = &samples[at(3.009 + 0.02)..at(3.009 + 0.08)];
    assert!(!tone.windows(6).any(|run| run.iter().all(|sample| sample.abs() < 200)));
}

#[test]
fn sine_through_lost_clock_ticks_stays_continuous() {
    let directory = TestDirectory::new();
    let (ogg, webm) = (directory.path("sine.ogg"), directory.path("sine.webm"));
    let source = ["-f", "lavfi", "-i", "sine=500:r=48000:d=3", "-c:a", "libopus", "-b:a", "96k"];
    support::ffmpeg(&[&source[..], &[ogg.to_str().unwrap()]].concat());
    support::ffmpeg(&["-i", ogg.to_str().unwrap(), "-c", "copy", webm.to_str().unwrap()]);
    let (output, _) = directory.make(&webm, r#"{"kind": "wav"}"#).unwrap();
    let samples = sound(&output).samples;
    let inner = &samples[9_600..samples.len() - 9_600];
    let peak = inner.iter().map(|sample| i32::from(*sample).abs()).max().unwrap();
    // A 500 Hz sine moves by at most 2π·500/48000 of its peak from one sample to the next.
    let most = f64::from(peak) * std::f64::consts::TAU * 500.0 / 48_000.0;
    let steps = inner.windows(2).map(|pair| f64::from((i32::from(pair[0]) - i32::from(pair[1])).abs()));
    let worst = steps.fold(0.0, f64::max);
    assert!(worst < most * 1.3, "{worst} against {most}");
}

/// The samples in the file's own format.
fn raw(file: &Path) -> Vec<u8> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-f", "s16le", "-"])
        .output()
        .unwrap();
    output.stdout
}

#[test]
fn pcm_has_its_own_sample_rate_and_samples() {
    for (codec, rate, channels) in [
        ("pcm_s16le", "16000", "1"),
        ("pcm_s16le", "24000", "2"),
        ("pcm_s16le", "44100", "1"),
        ("pcm_mulaw", "8000", "1"),
    ] {
        let directory = TestDirectory::new();
        let input = directory.path("pushed.mka");
        let noise = format!("anoisesrc=r={rate}:d=3:a=1");
        support::ffmpeg(&[
            "-f",
            "lavfi",
            "-i",
            &noise,
            "-ac",
            channels,
            "-c:a",
            codec,
            input.to_str().unwrap(),
        ]);
        for json in [
            r#"{"kind": "wav"}"#,
            r#"{"kind": "mix", "format": "wav"}"#,
            r#"{"kind": "stem", "track": 0, "format": "wav"}"#,
        ] {
            let (output, _) = directory.make(&input, json).unwrap();
            assert_eq!(ffprobe(&output, &["-show_entries", "stream=sample_rate"]), rate);
            assert_eq!(raw(&output), raw(&input), "{codec} {rate} {channels} {json}");
        }
        let (output, _) = directory.make(&input, r#"{"kind": "wav", "sample_rate": 32000}"#).unwrap();
        assert_eq!(ffprobe(&output, &["-show_entries", "stream=sample_rate"]), "32000");
    }
}

#[test]
fn tracks_of_different_sample_rates_become_48_khz() {
    let directory = TestDirectory::new();
    let input = directory.path("two.mka");
    let inputs = ["-f", "lavfi", "-i", "sine=r=16000:d=1", "-f", "lavfi", "-i", "sine=r=8000:d=1"];
    for codecs in [["pcm_s16le", "pcm_mulaw"], ["libopus", "pcm_mulaw"]] {
        let coding =
            ["-map", "0", "-map", "1", "-c:a:0", codecs[0], "-c:a:1", codecs[1], input.to_str().unwrap()];
        support::ffmpeg(&[&inputs[..], &coding].concat());
        let (output, _) = directory.make(&input, r#"{"kind": "wav"}"#).unwrap();
        assert_eq!(ffprobe(&output, &["-show_entries", "stream=sample_rate"]), "48000", "{codecs:?}");
    }
}

#[test]
fn a_stem_is_one_track_on_the_timeline_of_the_recording() {
    let directory = TestDirectory::new();
    let input = directory.write("two.webm", &call_of_two(3_300));
    let (output, _) = directory.make(&input, r#"{"kind": "stem", "track": 3, "format": "wav"}"#).unwrap();
    let beeps = sound(&output).beeps();
    assert_eq!(beeps.len(), SECONDS as usize);
    assert!((beeps[0] - 3.3).abs() < 0.002 && (beeps[5] - 8.3).abs() < 0.002, "{beeps:?}");
    for (json, codecs) in [
        (r#"{"kind": "stem", "track": 3, "format": "webm"}"#, "opus"),
        (r#"{"kind": "stem", "track": 3, "format": "mp4"}"#, "aac"),
        (r#"{"kind": "stem", "track": 3, "format": "mp3"}"#, "mp3"),
        (r#"{"kind": "stem", "track": 2, "format": "mp4"}"#, "h264"),
    ] {
        let (output, _) = directory.make(&input, json).unwrap();
        assert_eq!(ffprobe(&output, &["-show_entries", "stream=codec_name"]), codecs, "{json}");
        let start =
            if codecs == "h264" { support::pictures(&output)[0].time } else { sound(&output).beeps()[0] };
        assert!((start - 3.3).abs() < 0.025, "{json}: {start}");
    }
}

#[test]
fn a_stem_without_its_track_and_audio_without_audio_fail_permanently() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE)[..30], 0);
    let input = directory.write("silent.webm", &film);
    for json in [
        r#"{"kind": "stem", "track": 1, "format": "wav"}"#,
        r#"{"kind": "mp3"}"#,
        r#"{"kind": "mix"}"#,
        r#"{"kind": "waveform"}"#,
    ] {
        let error = directory.make(&input, json).unwrap_err();
        assert!(
            matches!(error, TranscodeError::NoSuchTrack { .. }) && error.is_permanent(),
            "{json}: {error}"
        );
    }
    let error = directory.make(&input, r#"{"kind": "stem", "track": 0, "format": "wav"}"#).unwrap_err();
    assert!(matches!(error, TranscodeError::BadOption(_)), "{error}");
    assert!(directory.leftovers(&input).is_empty());
}
