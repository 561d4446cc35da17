//! Audio that another service pushes, from its messages to what a player decodes.
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

/// A recorder and one who pushes to it.
struct Push {
    studio: Harness,
    audio: PushedAudio,
}

impl Push {
    fn new(format: AudioFormat) -> Self {
        let mut studio = Harness::new(RecorderConfig::default());
        studio.add(TrackConfig {
            id: TRACK,
            name: "pushed".to_owned(),
            kind: MediaKind::Audio,
            formats: vec![format.payload_format()],
            anchor: Anchor::Arrival,
        });
        Self { studio, audio: PushedAudio::new(format).unwrap() }
    }

    fn push(&mut self, data: &[u8], timestamp: Option<Duration>) {
        let data = Bytes::copy_from_slice(data);
        self.audio.push(AudioChunk { data, timestamp, duration: None }).unwrap();
        self.hand_on();
    }

    fn hand_on(&mut self) {
        while let Some(frame) = self.audio.pop() {
            let at = self.studio.instant();
            self.studio.input(Input::Frame { track: TRACK, at, time: frame.time, data: frame.data });
        }
    }

    fn edge(&mut self, pause: bool) {
        self.audio.flush();
        self.hand_on();
        let at = self.studio.instant();
        self.studio.input(if pause { Input::Pause(at) } else { Input::Resume(at) });
    }

    fn finish(mut self) -> (media::RecordingSummary, Vec<u8>) {
        self.audio.flush();
        self.hand_on();
        self.studio.finish()
    }
}

/// Samples that don't repeat.
fn noise(bytes: usize) -> Vec<u8> {
    let mut dice = harness::script::Dice::new(11);
    (0..bytes).map(|_| (dice.roll() >> 32) as u8).collect()
}

/// What a player hears, as 16-bit samples.
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
fn pcm_of_any_rate_comes_back_sample_for_sample() {
    for (sample_rate, channels, message) in [
        (8_000, 1, 320),
        (11_025, 1, 998),
        (16_000, 2, 4_000),
        (44_100, 2, 4_096),
        (48_000, 1, 2),
        (192_000, 2, 1 << 20),
    ] {
        let mut push = Push::new(AudioFormat::Pcm { sample_rate, channels });
        // Not a whole number of blocks; no less than a second.
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
fn opus_packets_come_back_byte_for_byte_faster_than_they_sound() {
    let mut push = Push::new(AudioFormat::Opus { channels: 2 });
    let packets = &coded::opus()[..250];
    packets.iter().for_each(|packet| push.push(packet, None));
    let (summary, bytes) = push.finish();
    assert_eq!(summary.container, Some(Container::Webm));
    let blocks = parse::blocks(&bytes);
    assert!(blocks.iter().map(|block| &block.data).eq(packets));
    assert!(blocks.iter().zip(0..).all(|(block, index)| (block.time - 20 * index - 7).abs() <= 1));
    // Five seconds in no time at all.
    assert_eq!(summary.duration, ms(5_000));
    OnDisk::new(&bytes, "webm").decodes_clean();
}

#[test]
fn a_gap_that_timestamps_tell_is_as_long_in_the_file() {
    let mut push = Push::new(AudioFormat::Pcm { sample_rate: 16_000, channels: 1 });
    let (first, second) = (noise(32_000), noise(16_000));
    push.push(&first, Some(ms(70_000)));
    push.push(&second, Some(ms(73_500)));
    let (summary, bytes) = push.finish();
    assert_eq!(summary.duration, ms(4_000));
    let blocks = parse::blocks(&bytes);
    assert_eq!((blocks[0].time, blocks[50].time), (0, 3_500));
    let heard = decoded(&OnDisk::new(&bytes, "mkv"), "aresample=async=1:first_pts=0");
    assert_eq!(heard.len(), 4 * 32_000);
    let silent = heard[33_000..110_000].iter().all(|sample| *sample == 0);
    assert!(silent && heard[3_500 * 32..] == second);
}

#[test]
fn what_is_pushed_in_a_pause_is_cut_out_to_the_sample() {
    let mut push = Push::new(AudioFormat::Pcm { sample_rate: 44_100, channels: 1 });
    let sent = noise(44_100 * 2 * 4);
    let mut kept = Vec::new();
    // Edges within blocks; fifty pauses.
    let mut at = 0;
    for index in 0..101 {
        let paused = index % 2 == 1;
        let bytes = if paused { 2_470 } else { 3_694 };
        let part = &sent[at..at + bytes];
        part.chunks(898).for_each(|message| push.push(message, None));
        at += bytes;
        if !paused {
            kept.extend_from_slice(part);
        }
        push.edge(!paused);
    }
    let (summary, bytes) = push.finish();
    let length = kept.len() as f64 / 88_200.0;
    assert!((summary.duration.as_secs_f64() - length).abs() < 1e-4, "{:?} of {length}", summary.duration);
    assert!(decoded(&OnDisk::new(&bytes, "mkv"), "anull") == kept);
}

#[test]
fn a_pause_before_the_first_message_leaves_nothing_of_it() {
    let mut push = Push::new(AudioFormat::Opus { channels: 1 });
    let packets = &coded::opus()[..100];
    push.edge(true);
    packets[..40].iter().for_each(|packet| push.push(packet, None));
    push.edge(false);
    packets[40..].iter().for_each(|packet| push.push(packet, None));
    let (_, bytes) = push.finish();
    let blocks = parse::blocks(&bytes);
    assert_eq!((blocks.len(), blocks[0].time), (60, 7));
}

#[test]
fn a_file_of_pcm_that_was_cut_is_repaired_to_its_last_block() {
    let mut push = Push::new(AudioFormat::Pcm { sample_rate: 44_100, channels: 2 });
    push.push(&noise(44_100 * 4), None);
    let (summary, bytes) = push.finish();
    let Recovery::Complete(found) = media::recover(Cursor::new(&bytes)).unwrap() else {
        panic!("it was closed");
    };
    assert_eq!(found.tracks[0], summary.tracks[0]);
    let cut = &bytes[..bytes.len() / 2];
    let Recovery::Repair(repair) = media::recover(Cursor::new(cut)).unwrap() else { panic!("it was cut") };
    let track = &repair.summary.tracks[0];
    assert_eq!(track.codec, Codec::Pcm);
    assert_eq!(repair.summary.container, Some(Container::Matroska));
    let length = track.bytes as f64 / (44_100.0 * 4.0);
    assert!((repair.summary.duration.as_secs_f64() - length).abs() < 1e-3);
}
