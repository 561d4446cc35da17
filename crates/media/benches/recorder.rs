//! The time per packet of the whole recorder, for a 720p camera and a microphone:
//! `cargo bench -p media --bench recorder`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    hint::black_box,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use media::{
    Anchor, Codec, Input, LayerId, MediaKind, NtpTime, Output, PayloadFormat, PayloadType, Recorder,
    RecorderConfig, RtpPacket, RtpTimestamp, SenderReport, Ssrc, TrackConfig, TrackId,
};

const SECONDS: u64 = 20;

fn track(id: u32, kind: MediaKind, payload_type: u8, codec: Codec, clock_rate: u32) -> TrackConfig {
    let channels = if kind == MediaKind::Audio { 2 } else { 0 };
    let formats = vec![PayloadFormat {
        payload_type: PayloadType(payload_type),
        encoding: codec.into(),
        clock_rate,
        channels,
        fmtp: String::new(),
    }];
    TrackConfig { id: TrackId(id), name: id.to_string(), kind, formats, anchor: Anchor::SenderReports }
}

/// Each second: 30 frames of six or seven packets, 50 packets of audio, and a report of each source.
fn call(start: Instant) -> Vec<Input> {
    let mut inputs = vec![
        Input::AddTrack { track: track(0, MediaKind::Audio, 111, Codec::Opus, 48_000), at: start },
        Input::AddTrack { track: track(1, MediaKind::Video, 96, Codec::Vp8, 90_000), at: start },
    ];
    let (mut audio_seq, mut video_seq) = (0_u16, 0_u16);
    for tick in 0..SECONDS * 300 {
        let arrival = start + Duration::from_micros(tick * 3_333);
        if tick % 300 == 150 {
            for (id, rate) in [(0, 160), (1, 300)] {
                let rtp_timestamp = u32::try_from(tick * rate).unwrap();
                let ntp = NtpTime((tick / 300 + 3_900_000_000) << 32 | 1 << 31);
                let track = TrackId(id);
                inputs.push(Input::SenderReport {
                    track,
                    layer: LayerId(0),
                    arrival,
                    report: SenderReport { ssrc: Ssrc(id), ntp, rtp_timestamp: RtpTimestamp(rtp_timestamp) },
                });
            }
        }
        if tick % 6 == 0 {
            let payload = Bytes::from(vec![0xfc; 90]);
            inputs.push(rtp(
                0,
                111,
                &mut audio_seq,
                u32::try_from(tick * 160).unwrap(),
                false,
                payload,
                arrival,
            ));
        }
        if tick % 10 == 0 {
            let frame = tick / 10;
            let packets = 6 + u64::from(frame % 4 == 0);
            for index in 0..packets {
                let mut payload = vec![0x5a; 1_000];
                let head = if index == 0 { 0x90 } else { 0x80 };
                payload[..4].copy_from_slice(&[head, 0x80, 0x80 | (frame >> 8) as u8, frame as u8]);
                if index == 0 {
                    let key = frame % 90 == 0;
                    payload[4] = u8::from(!key);
                    payload[7..14].copy_from_slice(&[0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]);
                }
                let timestamp = u32::try_from(tick * 300).unwrap();
                let last = index + 1 == packets;
                inputs.push(rtp(1, 96, &mut video_seq, timestamp, last, Bytes::from(payload), arrival));
            }
        }
    }
    inputs
}

fn rtp(
    ssrc: u32,
    payload_type: u8,
    seq: &mut u16,
    timestamp: u32,
    marker: bool,
    payload: Bytes,
    arrival: Instant,
) -> Input {
    *seq = seq.wrapping_add(1);
    let packet = RtpPacket {
        ssrc: Ssrc(ssrc),
        payload_type: PayloadType(payload_type),
        sequence_number: *seq,
        timestamp: RtpTimestamp(timestamp),
        marker,
        rotation: None,
        resent: false,
        payload,
    };
    Input::Rtp { track: TrackId(ssrc), layer: LayerId(0), arrival, packet }
}

fn drain(recorder: &mut Recorder) -> usize {
    let mut bytes = 0;
    loop {
        match recorder.poll_output() {
            Output::Append(part) => bytes += part.len(),
            Output::Timeout(deadline) => {
                black_box(deadline);
                return bytes;
            }
            _ => {}
        }
    }
}

fn record(criterion: &mut Criterion) {
    #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
    let start = Instant::now();
    let inputs = call(start);
    let packets = inputs.iter().filter(|input| matches!(input, Input::Rtp { .. })).count();
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(packets as u64));
    group.bench_function("vp8_720p_and_opus", |bencher| {
        bencher.iter_batched(
            || (Recorder::new(RecorderConfig::default(), start, SystemTime::UNIX_EPOCH), inputs.clone()),
            |(mut recorder, inputs)| {
                let mut bytes = 0;
                for input in inputs {
                    recorder.handle_input(input);
                    bytes += drain(&mut recorder);
                }
                assert!(bytes > 1_000_000);
                recorder
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
