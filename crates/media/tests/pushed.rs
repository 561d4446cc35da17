//! Pushed audio: from messages to what a player decodes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::{io::Cursor, process::Command, time::Duration};

use bytes::Bytes;
use harness::{Harness, coded, ms, parse, player::OnDisk};
use media::{
    Anchor, AudioChunk, AudioFormat, Codec, Container, Input, MediaKind, PushedAudio, RecorderConfig,
    Recovery, TrackConfig, TrackId,
};

const TRACK: TrackId = TrackId(0);

/// A recorder and a service that pushes audio to it.
struct Push {
    harness: Harness,
    audio: PushedAudio,
}

impl Push {
    fn new(format: AudioFormat) -> Self {
        let mut harness = Harness::new(RecorderConfig::default());
        harness.add(TrackConfig {
            id: TRACK,
            name: "pushed".to_owned(),
            kind: MediaKind::Audio,
            formats: vec![format.payload_format()],
            anchor: Anchor::Arrival,
        });
        Self { harness, audio: PushedAudio::new(format).unwrap() }
    }

    fn push(&mut self, data: &[u8], timestamp: Option<Duration>) {
        let data = Bytes::copy_from_slice(data);
        self.audio.push(AudioChunk { data, timestamp, duration: None }).unwrap();
        self.record_frames();
    }

    fn record_frames(&mut self) {
        while let Some(frame) = self.audio.pop() {
            let at = self.harness.instant();
            self.harness.input(Input::Frame { track: TRACK, at, time: frame.time, data: frame.data });
        }
    }

    fn set_paused(&mut self, pause: bool) {
        self.audio.flush();
        self.record_frames();
        let at = self.harness.instant();
        self.harness.input(if pause { Input::Pause(at) } else { Input::Resume(at) });
    }

    fn finish(mut self) -> (media::RecordingSummary, Vec<u8>) {
        self.audio.flush();
        self.record_frames();
        self.harness.finish()
    }
}

/// Random samples.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = harness::script::Random::new(11);
    (0..bytes).map(|_| (random.next() >> 32) as u8).collect()
}

/// The decoded file, as 16-bit samples.
fn decoded(file: &OnDisk, filter: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-xerror", "-i"])
        .arg(&file.path)
        .args(["-af", filter, "-f", "s16le", "-c:a", "pcm_s16le", "-"])
        .output()
        .expect("ffmpeg must be installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn pcm_of_any_rate_is_recorded_sample_for_sample() {
    for (sample_rate, channels, message) in [
        (8_000, 1, 320),
        (11_025, 1, 998),
        (16_000, 2, 4_000),
        (44_100, 2, 4_096),
        (48_000, 1, 2),
        (192_000, 2, 1 << 20),
    ] {
        let mut push = Push::new(AudioFormat::Pcm { sample_rate, channels });
        // Not a whole number of blocks, and more than a second.
        let samples = sample_rate as usize + 123;
        let sent = noise(samples * 2 * usize::from(channels));
        sent.chunks(message).for_each(|part| push.push(part, None));
        let (summary, bytes) = push.finish();
        assert_eq!(summary.container, Some(Container::Matroska));
        assert_eq!((summary.tracks[0].codec, summary.tracks[0].bytes), (Codec::Pcm, sent.len() as u64));
        let length = samples as f64 / f64::from(sample_rate);
        assert!((summary.duration.as_secs_f64() - length).abs() < 1e-6, "{:?}", summary.duration);
        let file = OnDisk::new(&bytes, "mkv");
        file.decodes_clean();
        let stream = &file.streams()[0];
        assert_eq!(stream["codec_name"], "pcm_s16le");
        assert_eq!(stream["sample_rate"], sample_rate.to_string());
        assert_eq!(stream["channels"], channels.to_string());
        assert!(decoded(&file, "anull") == sent, "{sample_rate} Hz, {channels} channels");
    }
}

#[test]
fn opus_packets_pushed_faster_than_real_time_are_recorded_byte_for_byte() {
    let mut push = Push::new(AudioFormat::Opus { channels: 2 });
    let packets = &coded::opus()[..250];
    packets.iter().for_each(|packet| push.push(packet, None));
    let (summary, bytes) = push.finish();
    assert_eq!(summary.container, Some(Container::Webm));
    let blocks = parse::blocks(&bytes);
    assert!(blocks.iter().map(|block| &block.data).eq(packets));
    assert!(blocks.iter().zip(0..).all(|(block, index)| (block.time - 20 * index - 7).abs() <= 1));
    // Five seconds of audio, pushed at one instant.
    assert_eq!(summary.duration, ms(5_000));
    OnDisk::new(&bytes, "webm").decodes_clean();
}

#[test]
fn a_gap_between_timestamps_is_as_long_in_the_file() {
    let mut push = Push::new(AudioFormat::Pcm { sample_rate: 16_000, channels: 1 });
    let (first, second) = (noise(32_000), noise(16_000));
    push.push(&first, Some(ms(70_000)));
    push.push(&second, Some(ms(73_500)));
    let (summary, bytes) = push.finish();
    assert_eq!(summary.duration, ms(4_000));
    let blocks = parse::blocks(&bytes);
    assert_eq!((blocks[0].time, blocks[50].time), (0, 3_500));
    let samples = decoded(&OnDisk::new(&bytes, "mkv"), "aresample=async=1:first_pts=0");
    assert_eq!(samples.len(), 4 * 32_000);
    let silent = samples[33_000..110_000].iter().all(|sample| *sample == 0);
    assert!(silent && samples[3_500 * 32..] == second);
}

#[test]
fn a_pause_cuts_out_exactly_the_samples_pushed_in_it() {
    let mut push = Push::new(AudioFormat::Pcm { sample_rate: 44_100, channels: 1 });
    let sent = noise(44_100 * 2 * 4);
    let mut expected = Vec::new();
    // Fifty pauses, which begin and end within blocks.
    let mut at = 0;
    for index in 0..101 {
        let paused = index % 2 == 1;
        let bytes = if paused { 2_470 } else { 3_694 };
        let part = &sent[at..at + bytes];
        part.chunks(898).for_each(|message| push.push(message, None));
        at += bytes;
        if !paused {
            expected.extend_from_slice(part);
        }
        push.set_paused(!paused);
    }
    let (summary, bytes) = push.finish();
    let length = expected.len() as f64 / 88_200.0;
    assert!((summary.duration.as_secs_f64() - length).abs() < 1e-4, "{:?} of {length}", summary.duration);
    assert!(decoded(&OnDisk::new(&bytes, "mkv"), "anull") == expected);
}

#[test]
fn messages_in_a_pause_before_the_first_frame_are_dropped() {
    let mut push = Push::new(AudioFormat::Opus { channels: 1 });
    let packets = &coded::opus()[..100];
    push.set_paused(true);
    packets[..40].iter().for_each(|packet| push.push(packet, None));
    push.set_paused(false);
    packets[40..].iter().for_each(|packet| push.push(packet, None));
    let (_, bytes) = push.finish();
    let blocks = parse::blocks(&bytes);
    assert_eq!((blocks.len(), blocks[0].time), (60, 7));
}

#[test]
fn a_truncated_pcm_file_is_repaired_up_to_its_last_block() {
    let mut push = Push::new(AudioFormat::Pcm { sample_rate: 44_100, channels: 2 });
    push.push(&noise(44_100 * 4), None);
    let (summary, bytes) = push.finish();
    let Recovery::Complete(found) = media::recover(Cursor::new(&bytes)).unwrap() else {
        panic!("it was finished");
    };
    assert_eq!(found.tracks[0], summary.tracks[0]);
    let cut = &bytes[..bytes.len() / 2];
    let Recovery::Repair(repair) = media::recover(Cursor::new(cut)).unwrap() else {
        panic!("it was truncated")
    };
    let track = &repair.summary.tracks[0];
    assert_eq!(track.codec, Codec::Pcm);
    assert_eq!(repair.summary.container, Some(Container::Matroska));
    let length = track.bytes as f64 / (44_100.0 * 4.0);
    assert!((repair.summary.duration.as_secs_f64() - length).abs() < 1e-3);
}
