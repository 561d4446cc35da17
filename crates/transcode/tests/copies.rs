//! Which packets are copied, and which must be encoded.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{SIZE, TestDirectory, frames, matroska::MatroskaFile, pictures, sound};
use testkit::{signal::Codec, verify};

const SMALL: (u32, u32) = (320, 180);

#[test]
fn opus_with_gaps_is_not_copied_into_ogg() {
    let directory = TestDirectory::new();
    let tone = directory.path("tone.ogg");
    let source = ["-f", "lavfi", "-i", "sine=440:d=20", "-c:a", "libopus", "-frame_duration", "10"];
    support::ffmpeg(&[&source[..], &[tone.to_str().unwrap()]].concat());
    let packets = support::ogg_packets(&tone);
    let film = |time: &dyn Fn(usize) -> Option<i64>| {
        let mut film = MatroskaFile::default();
        let audio = film.add_opus();
        for (number, packet) in packets.iter().enumerate() {
            if let Some(time) = time(number) {
                film.blocks.push((time, audio, true, packet.clone().into()));
            }
        }
        film
    };
    let lossy = film(&|number| (number % 10 != 5).then_some(number as i64 * 10));
    let slow = film(&|number| Some((number as f64 * 10.03).round() as i64));
    // Slow up to the middle, then fast.
    let both = film(&|number| Some(number as i64 * 10 + number.min(2_000 - number.min(2_000)) as i64 / 20));
    for (name, film, expected) in [("lossy", lossy, 20.0), ("slow", slow, 20.06), ("both", both, 20.0)] {
        let input = directory.write("opus.webm", &film);
        let (output, _) = directory.make(&input, r#"{"kind": "ogg_opus"}"#).unwrap();
        let decoded = sound(&output).samples.len() as f64 / 48_000.0;
        assert!((decoded - expected).abs() < 0.03, "{name}: {decoded} s");
        let sizes = |file: &Path| -> Vec<usize> {
            verify::packets(file).unwrap().into_iter().map(|packet| packet.size).collect()
        };
        assert_ne!(sizes(&input), sizes(&output), "{name}");
    }
}

#[test]
fn h264_with_reordered_frames_loses_none() {
    let directory = TestDirectory::new();
    let clip = testkit::signal::ClipSpec { codec: Codec::Vp8, size: SIZE, bit_rate: 1_000_000, seconds: 6 };
    let clip = testkit::signal::clip_file(clip).unwrap();
    for container in ["mkv", "mp4"] {
        let input = directory.path(&format!("reordered.{container}"));
        let coding = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60", "-b_strategy", "0"];
        support::ffmpeg(
            &[&["-i", clip.to_str().unwrap(), "-t", "3"], &coding[..], &[input.to_str().unwrap()]].concat(),
        );
        let (output, _) = directory.make(&input, r#"{"kind": "mp4"}"#).unwrap();
        let shown: Vec<_> = pictures(&output).iter().map(|picture| picture.counter).collect();
        assert_eq!(shown, (0..90).map(Some).collect::<Vec<_>>(), "{container}");
    }
}

#[test]
fn a_stem_of_a_webm_codec_has_the_packets_of_the_input() {
    let directory = TestDirectory::new();
    for (name, codec) in [("V_VP8", Codec::Vp8), ("V_VP9", Codec::Vp9), ("V_AV1", Codec::Av1)] {
        let mut film = MatroskaFile::default();
        let video = film.add_video(name, SMALL, 0.0);
        film.add_frames(video, &frames(codec, SMALL)[..45], 0);
        let input = directory.write("track.webm", &film);
        let (output, _) =
            directory.make(&input, r#"{"kind": "stem", "track": 0, "format": "webm"}"#).unwrap();
        let packets = |file: &Path| -> Vec<(usize, i64)> {
            let packets = verify::packets(file).unwrap();
            packets.iter().map(|packet| (packet.size, (packet.time * 1_000.0).round() as i64)).collect()
        };
        // Without the temporal delimiters, which AV1 in Matroska must not have.
        let delimiter = if codec == Codec::Av1 { 2 } else { 0 };
        let expected: Vec<_> =
            packets(&input).into_iter().map(|(size, time)| (size - delimiter, time)).collect();
        assert_eq!(packets(&output), expected, "{name}");
        let (output, _) = directory.make(&input, r#"{"kind": "webm"}"#).unwrap();
        assert_eq!(verify::probe(&output).unwrap().codecs("video"), ["vp9"], "{name}");
    }
}
