//! Maps bytes to inputs of the recorder. `cargo fuzz run <target>` in `crates/media` runs a target.

use std::{
    io::Cursor,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use media::{
    Anchor, Codec, Encoding, Input, LayerId, MediaKind, MediaTime, NtpTime, Output, PayloadFormat, PayloadType, Recorder,
    RecorderConfig, Recovery, RtpPacket, RtpTimestamp, SenderReport, Ssrc, TrackConfig, TrackId,
};

const ENCODINGS: [Encoding; 11] = [
    Encoding::Codec(Codec::Opus),
    Encoding::Codec(Codec::Vp8),
    Encoding::Codec(Codec::Vp9),
    Encoding::Codec(Codec::Av1),
    Encoding::Codec(Codec::H264),
    Encoding::Codec(Codec::H265),
    Encoding::Codec(Codec::Pcmu),
    Encoding::Codec(Codec::Pcma),
    Encoding::Codec(Codec::G722),
    Encoding::Red,
    Encoding::Codec(Codec::Pcm),
];

fn is_video(encoding: Encoding) -> bool {
    encoding.kind() == MediaKind::Video
}

fn formats(encodings: &[Encoding]) -> Vec<PayloadFormat> {
    let numbered = (96..).zip(encodings);
    let format = |(payload_type, &encoding): (u8, &Encoding)| PayloadFormat {
        payload_type: PayloadType(payload_type),
        encoding,
        clock_rate: if is_video(encoding) { 90_000 } else { 48_000 },
        channels: if is_video(encoding) { 0 } else { 2 },
        fmtp: "sprop-parameter-sets=Z0LAH4yNQFAekA8IhGo=,aM48gA==".to_owned(),
    };
    numbered.map(format).collect()
}

fn track(id: u32, encodings: &[Encoding]) -> TrackConfig {
    let kind = if is_video(encodings[0]) { MediaKind::Video } else { MediaKind::Audio };
    TrackConfig {
        id: TrackId(id),
        name: "fuzzed".to_owned(),
        kind,
        formats: formats(encodings),
        anchor: if id % 2 == 0 { Anchor::SenderReports } else { Anchor::Arrival },
    }
}

/// A recorder, its file, and the bytes that determine its inputs.
struct Session<'a> {
    recorder: Recorder,
    now: Instant,
    file: Vec<u8>,
    script: &'a [u8],
}

impl<'a> Session<'a> {
    fn new(script: &'a [u8]) -> Self {
        let now = Instant::now();
        let config =
            RecorderConfig { max_held_bytes: 50_000, append_bytes: 2_000, ..RecorderConfig::default() };
        Self { recorder: Recorder::new(config, now, SystemTime::UNIX_EPOCH), now, file: Vec::new(), script }
    }

    fn input(&mut self, input: Input) {
        self.recorder.handle_input(input);
        loop {
            match self.recorder.poll_output() {
                Output::Append(bytes) => self.file.extend_from_slice(&bytes),
                Output::Patch { offset, bytes } => {
                    let start = offset as usize;
                    self.file[start..start + bytes.len()].copy_from_slice(&bytes);
                }
                Output::Restart => self.file.clear(),
                Output::Timeout(_) => return,
                Output::Keyframe(..) | Output::Finished(_) => {}
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.script.split_first()?;
        self.script = rest;
        Some(first)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.script.split_at(length.min(self.script.len()));
        self.script = rest;
        taken
    }

    /// Ends the session. Recovery must find the file complete.
    fn finish(mut self) {
        self.input(Input::Finish(self.now));
        if !self.file.is_empty() {
            let found = media::recover(Cursor::new(&self.file)).expect("a recording");
            assert!(matches!(found, Recovery::Complete(_)), "{found:?}");
        }
    }
}

/// Packets of one payload format. The script determines their lengths, steps and markers.
pub fn one_format(encoding: impl Into<Encoding>, data: &[u8]) {
    let mut session = Session::new(data);
    let config = track(0, &[encoding.into(), Encoding::Codec(Codec::Opus)]);
    session.input(Input::AddTrack { track: config, at: session.now });
    let (mut sequence_number, mut timestamp) = (0_u16, 0_u32);
    while let (Some(flags), Some(length)) = (session.byte(), session.byte()) {
        sequence_number = sequence_number.wrapping_add(1 + u16::from(flags >> 6 == 3));
        timestamp = timestamp.wrapping_add(if flags & 2 == 0 { 0 } else { 3_000 });
        session.now += Duration::from_millis(u64::from(flags >> 2 & 7));
        let packet = RtpPacket {
            ssrc: Ssrc(1),
            payload_type: PayloadType(96),
            sequence_number,
            timestamp: RtpTimestamp(timestamp),
            marker: flags & 1 != 0,
            rotation: None,
            resent: false,
            payload: Bytes::copy_from_slice(session.take(usize::from(length))),
        };
        let arrival = session.now;
        session.input(Input::Rtp { track: TrackId(0), layer: LayerId(0), arrival, packet });
    }
    session.finish();
}

/// Any sequence of inputs.
pub fn script(data: &[u8]) {
    let mut session = Session::new(data);
    for id in 0..2 {
        session.input(Input::AddTrack { track: track(id, &ENCODINGS), at: session.now });
    }
    while let Some(step) = session.byte() {
        let track = TrackId(u32::from(step >> 4 & 3));
        let layer = LayerId(step >> 6);
        let wait = u64::from(session.byte().unwrap_or(0)) * u64::from(step & 1) * 4;
        session.now += Duration::from_millis(wait);
        let at = session.now;
        match step >> 1 & 7 {
            0 => session.input(Input::Timeout(at)),
            1 => {
                let head = session.take(16);
                let Ok(head) = <[u8; 16]>::try_from(head) else { break };
                let [n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, ssrc, ..] = head;
                let ntp = NtpTime(u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]));
                let rtp_timestamp = RtpTimestamp(u32::from_be_bytes([t0, t1, t2, t3]));
                let ssrc = Ssrc(u32::from(ssrc & 1));
                session.input(Input::SenderReport { track, layer, arrival: at, report: SenderReport { ssrc, ntp, rtp_timestamp } });
            }
            2 if step & 1 == 1 => session.input(Input::EndTrack { track, at }),
            3 if step & 1 == 1 => {
                let config = self::track(track.0, &ENCODINGS[1..]);
                session.input(Input::AddTrack { track: config, at });
            }
            4 if step & 1 == 1 => match track.0 {
                0 => session.input(Input::Pause(at)),
                1 => session.input(Input::Resume(at)),
                _ => {
                    let Ok(time) = <[u8; 8]>::try_from(session.take(8)) else { break };
                    let data = Bytes::copy_from_slice(session.take(32));
                    let time = MediaTime(i64::from_be_bytes(time));
                    session.input(Input::Frame { track: TrackId(track.0 & 1), at, time, data });
                }
            },
            _ => {
                let head = session.take(9);
                let Ok([kind, s0, s1, t0, t1, t2, t3, ssrc, length]) = <[u8; 9]>::try_from(head) else {
                    break;
                };
                let packet = RtpPacket {
                    ssrc: Ssrc(u32::from(ssrc & 1)),
                    payload_type: PayloadType(96 + kind % 12),
                    sequence_number: u16::from_be_bytes([s0, s1]),
                    timestamp: RtpTimestamp(u32::from_be_bytes([t0, t1, t2, t3])),
                    marker: kind & 0x80 != 0,
                    rotation: None,
            resent: false,
                    payload: Bytes::copy_from_slice(session.take(usize::from(length))),
                };
                session.input(Input::Rtp { track, layer, arrival: at, packet });
            }
        }
    }
    session.finish();
}

/// The first byte decides: the bytes themselves are the file, or they overwrite a part of a correct file.
pub fn recover(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let mut file = data.to_vec();
    if choice & 1 == 1 {
        let [a, b, cut0, cut1, rest @ ..] = data else { return };
        file = correct_file();
        let at = usize::from(u16::from_be_bytes([*a, *b])) % file.len();
        let end = (at + rest.len()).min(file.len());
        file[at..end].copy_from_slice(&rest[..end - at]);
        if choice & 2 != 0 {
            file.truncate(usize::from(u16::from_be_bytes([*cut0, *cut1])));
        }
    }
    let Ok(Recovery::Repair(repair)) = media::recover(Cursor::new(&file)) else { return };
    file.truncate(repair.truncate as usize);
    file.extend_from_slice(&repair.append);
    for (offset, bytes) in &repair.patches {
        let start = *offset as usize;
        file[start..start + bytes.len()].copy_from_slice(bytes);
    }
    let again = media::recover(Cursor::new(&file)).expect("a repaired recording");
    assert!(matches!(again, Recovery::Complete(_)), "{again:?}");
}

fn correct_file() -> Vec<u8> {
    let mut session = Session::new(&[]);
    session.input(Input::AddTrack { track: track(0, &ENCODINGS), at: session.now });
    for index in 0..60_u16 {
        session.now += Duration::from_millis(200);
        let packet = RtpPacket {
            ssrc: Ssrc(1),
            payload_type: PayloadType(97),
            sequence_number: index,
            timestamp: RtpTimestamp(u32::from(index) * 18_000),
            marker: true,
            rotation: None,
            resent: false,
            payload: Bytes::from_static(&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0, 1, 2, 3]),
        };
        let arrival = session.now;
        session.input(Input::Rtp { track: TrackId(0), layer: LayerId(0), arrival, packet });
    }
    session.input(Input::Finish(session.now));
    session.file
}
