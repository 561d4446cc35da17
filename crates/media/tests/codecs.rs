//! Every codec: from a coded stream to a file that ffmpeg decodes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::Duration;

use harness::{
    Harness, coded, ms, packetize, parse,
    player::OnDisk,
    script::Script,
    sender::{AUDIO, Source, VIDEO, format, track},
};
use media::{Codec, Container, MediaKind, RecorderConfig, RecordingSummary};

/// Ten seconds of one track, and the expected blocks.
struct Case {
    codec: Codec,
    clock_rate: u32,
    channels: u8,
    /// The RTP payloads of each frame, and its bytes in the file.
    frames: Vec<(Vec<Vec<u8>>, Vec<u8>)>,
    codec_name: &'static str,
}

impl Case {
    fn record(&self) -> (RecordingSummary, Vec<u8>) {
        let mut harness = Harness::new(RecorderConfig::default());
        let is_video = self.channels == 0;
        let kind = if is_video { MediaKind::Video } else { MediaKind::Audio };
        let id = if is_video { VIDEO } else { AUDIO };
        harness.add(track(id, kind, vec![format(100, self.codec, self.clock_rate, self.channels)]));
        let mut source = Source::new(7, 100, self.clock_rate);
        let mut script = Script::default();
        let step = if is_video { ms(40) } else { ms(20) };
        for (index, (payloads, _)) in self.frames.iter().enumerate() {
            let at = step * u32::try_from(index).unwrap();
            let packets = source.frame(at, payloads.clone());
            script.rtp(at + ms(30), id, packets);
        }
        script.reports(id, &source, ms(500), Duration::from_secs(10), Duration::from_secs(1));
        script.play(&mut harness);
        assert_eq!(harness.keyframes, []);
        let statistics = harness.recorder.statistics();
        let counters = &statistics.tracks[0].1;
        assert_eq!((counters.malformed, counters.unknown_payload_type, counters.frames_dropped), (0, 0, 0));
        harness.finish()
    }

    /// Records, compares each block with the coded frame, and checks the file with players.
    fn check(&self, container: Container) {
        let (summary, bytes) = self.record();
        assert_eq!(summary.container, Some(container));
        let blocks = parse::blocks(&bytes);
        assert_eq!(blocks.len(), self.frames.len());
        for (index, (block, (_, stored))) in blocks.iter().zip(&self.frames).enumerate() {
            assert!(block.data == *stored, "frame {index} is not what was sent");
        }
        let file = OnDisk::new(&bytes, if container == Container::Webm { "webm" } else { "mkv" });
        file.decodes_clean();
        let format = file.format();
        assert_eq!(format["start_time"], "0.000000");
        let duration: f64 = format["duration"].parse().unwrap();
        assert!((duration - 10.0).abs() < 0.05, "{duration}");
        let stream = &file.streams()[0];
        assert_eq!(stream["codec_name"], self.codec_name);
        assert_eq!(stream["nb_read_packets"], self.frames.len().to_string());
        if self.channels == 0 {
            assert_eq!((&*stream["width"], &*stream["height"]), ("320", "180"));
            assert_eq!(stream["nb_read_frames"], self.frames.len().to_string());
            assert_eq!((summary.tracks[0].width, summary.tracks[0].height), (320, 180));
            assert_eq!(summary.tracks[0].keyframes, 10);
            seeks(&file, &bytes);
        } else {
            assert_eq!(
                stream["sample_rate"],
                if self.clock_rate == 48_000 {
                    "48000"
                } else if self.codec == Codec::G722 {
                    "16000"
                } else {
                    "8000"
                }
            );
        }
    }
}

/// Seeks to twenty times. Each seek finds the keyframe of its second.
fn seeks(file: &OnDisk, bytes: &[u8]) {
    assert_eq!(parse::cues(bytes).len(), 10);
    for index in 0..20_u32 {
        let target = f64::from(index * 7_919 % 9_900) / 1_000.0;
        let packets = file.sections("PACKET", &format!("-read_intervals {target}%+#1 -show_packets"));
        let time: f64 = packets[0]["pts_time"].parse().unwrap();
        assert!(packets[0]["flags"].starts_with('K'), "{target}");
        assert!(time <= target + 0.001 && target - time < 1.001, "a seek to {target} found {time}");
    }
}

#[test]
fn vp8_is_recorded_byte_for_byte() {
    let frames = coded::vp8().iter().enumerate();
    let frames = frames.map(|(index, frame)| (packetize::vp8(frame, index as u16), frame.clone())).collect();
    Case { codec: Codec::Vp8, clock_rate: 90_000, channels: 0, frames, codec_name: "vp8" }
        .check(Container::Webm);
}

#[test]
fn vp9_is_recorded_byte_for_byte() {
    let frames = coded::vp9().iter().enumerate();
    let frames = frames.map(|(index, frame)| (packetize::vp9(frame, index as u16), frame.clone())).collect();
    Case { codec: Codec::Vp9, clock_rate: 90_000, channels: 0, frames, codec_name: "vp9" }
        .check(Container::Webm);
}

#[test]
fn av1_is_recorded_byte_for_byte() {
    let frames =
        coded::av1().iter().map(|unit| (packetize::av1(unit), packetize::stored_av1(unit))).collect();
    Case { codec: Codec::Av1, clock_rate: 90_000, channels: 0, frames, codec_name: "av1" }
        .check(Container::Webm);
}

#[test]
fn h264_is_recorded_byte_for_byte() {
    let frames =
        coded::h264().iter().map(|unit| (packetize::h264(unit), packetize::stored_nal_units(unit))).collect();
    Case { codec: Codec::H264, clock_rate: 90_000, channels: 0, frames, codec_name: "h264" }
        .check(Container::Matroska);
}

#[test]
fn h265_is_recorded_byte_for_byte() {
    let frames =
        coded::h265().iter().map(|unit| (packetize::h265(unit), packetize::stored_nal_units(unit))).collect();
    Case { codec: Codec::H265, clock_rate: 90_000, channels: 0, frames, codec_name: "hevc" }
        .check(Container::Matroska);
}

fn audio(codec: Codec, clock_rate: u32, channels: u8, packets: &[Vec<u8>], codec_name: &'static str) -> Case {
    let frames = packets.iter().take(500).map(|packet| (vec![packet.clone()], packet.clone())).collect();
    Case { codec, clock_rate, channels, frames, codec_name }
}

#[test]
fn opus_is_recorded_byte_for_byte() {
    audio(Codec::Opus, 48_000, 2, coded::opus(), "opus").check(Container::Webm);
}

#[test]
fn pcmu_is_recorded_byte_for_byte() {
    audio(Codec::Pcmu, 8_000, 1, &coded::telephone("pcm_mulaw"), "pcm_mulaw").check(Container::Matroska);
}

#[test]
fn pcma_is_recorded_byte_for_byte() {
    audio(Codec::Pcma, 8_000, 1, &coded::telephone("pcm_alaw"), "pcm_alaw").check(Container::Matroska);
}

#[test]
fn g722_is_recorded_byte_for_byte() {
    audio(Codec::G722, 8_000, 1, &coded::telephone("g722"), "adpcm_g722").check(Container::Matroska);
}

#[test]
fn a_track_that_webm_does_not_allow_makes_the_file_matroska_even_if_it_joins_late() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(track(VIDEO, MediaKind::Video, vec![format(96, Codec::Vp8, 90_000, 0)]));
    harness.add(track(AUDIO, MediaKind::Audio, vec![format(0, Codec::Pcmu, 8_000, 1)]));
    let (mut video, mut audio) = (Source::vp8(), Source::new(9, 0, 8_000));
    let mut script = Script::default();
    for (index, frame) in coded::vp8().iter().enumerate() {
        let at = ms(40 * index as u64);
        let packets = video.frame(at, packetize::vp8(frame, index as u16));
        script.rtp(at, VIDEO, packets);
    }
    for (index, packet) in coded::telephone("pcm_mulaw").into_iter().enumerate().skip(300) {
        let at = ms(20 * index as u64);
        let packets = audio.frame(at, vec![packet]);
        script.rtp(at, AUDIO, packets);
    }
    script.play(&mut harness);
    let (summary, bytes) = harness.finish();
    assert_eq!(summary.container, Some(Container::Matroska));
    assert_eq!(summary.tracks.iter().map(|track| track.codec).collect::<Vec<_>>(), [Codec::Vp8, Codec::Pcmu]);
    assert!(
        bytes.windows(8).any(|window| window == b"matroska") && !bytes[..64].windows(4).any(|w| w == b"webm")
    );
    let file = OnDisk::new(&bytes, "mkv");
    file.decodes_clean();
    assert_eq!(file.streams().len(), 2);
}
