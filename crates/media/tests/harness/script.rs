//! Scripts of arrivals, and synthetic frames that contain the time of their capture.

use std::time::Duration;

use media::{LayerId, NtpTime, RtpPacket, TrackId};

use super::{
    Harness, ms, ntp, packetize,
    parse::Block,
    sender::{AUDIO, Source, VIDEO},
};

#[derive(Debug, Clone)]
pub enum Event {
    Rtp(TrackId, LayerId, RtpPacket),
    Report(TrackId, LayerId, u32, NtpTime, u32),
}

/// Events with their times of arrival.
#[derive(Debug, Default, Clone)]
pub struct Script(pub Vec<(Duration, Event)>);

impl Script {
    pub fn rtp(&mut self, arrival: Duration, track: TrackId, packets: Vec<RtpPacket>) {
        self.layer(arrival, track, LayerId(0), packets);
    }

    pub fn layer(&mut self, arrival: Duration, track: TrackId, layer: LayerId, packets: Vec<RtpPacket>) {
        self.0.extend(packets.into_iter().map(|packet| (arrival, Event::Rtp(track, layer, packet))));
    }

    /// A sender report from the time `at`, by a correct wall clock.
    pub fn report(&mut self, arrival: Duration, track: TrackId, source: &Source, at: Duration) {
        self.report_of(arrival, track, LayerId(0), source, at, ntp(at));
    }

    pub fn report_of(
        &mut self,
        arrival: Duration,
        track: TrackId,
        layer: LayerId,
        source: &Source,
        at: Duration,
        wall: NtpTime,
    ) {
        self.0.push((arrival, Event::Report(track, layer, source.ssrc, wall, source.timestamp(at))));
    }

    pub fn play(mut self, harness: &mut Harness) {
        self.0.sort_by_key(|(arrival, _)| *arrival);
        for (arrival, event) in self.0 {
            match event {
                Event::Rtp(track, layer, packet) => harness.rtp_layer(arrival, track, layer, packet),
                Event::Report(track, layer, ssrc, wall, timestamp) => {
                    harness.report_layer(arrival, track, layer, ssrc, wall, timestamp);
                }
            }
        }
    }

    /// Audio captured from `from` to `to`, in packets of 20 ms.
    pub fn send_audio(&mut self, source: &mut Source, from: Duration, to: Duration, delay: Duration) {
        let mut at = from;
        while at < to {
            let packets = source.frame(at, vec![opus(at)]);
            self.rtp(at + delay, AUDIO, packets);
            at += ms(20);
        }
    }

    /// Video captured at these times, with a keyframe every `gop` frames.
    pub fn send_video(&mut self, source: &mut Source, captures: &[Duration], gop: usize, delay: Duration) {
        for (index, at) in captures.iter().enumerate() {
            let frame = vp8(*at, index % gop == 0, (320, 180));
            let packets = source.frame(*at, packetize::vp8(&frame, u16::try_from(index & 0x7fff).unwrap()));
            self.rtp(*at + delay, VIDEO, packets);
        }
    }

    pub fn reports(
        &mut self,
        track: TrackId,
        source: &Source,
        from: Duration,
        to: Duration,
        every: Duration,
    ) {
        let mut at = from;
        while at < to {
            self.report(at + ms(30), track, source, at);
            at += every;
        }
    }
}

/// Times `1/fps` apart.
pub fn at_rate(fps: u32, from: Duration, to: Duration) -> Vec<Duration> {
    let count = ((to - from).as_nanos() * u128::from(fps) / 1_000_000_000) as u32;
    (0..count).map(|index| from + Duration::from_secs(1) * index / fps).collect()
}

/// An Opus packet of 20 ms that contains its capture time.
pub fn opus(at: Duration) -> Vec<u8> {
    [&[0xfc][..], &(at.as_nanos() as u64).to_be_bytes()].concat()
}

/// A VP8 frame that contains its capture time. Only its header is valid.
pub fn vp8(at: Duration, keyframe: bool, (width, height): (u16, u16)) -> Vec<u8> {
    let mut frame = vec![u8::from(!keyframe) | 0x10, 0, 0];
    if keyframe {
        frame.extend([0x9d, 0x01, 0x2a]);
        frame.extend(width.to_le_bytes());
        frame.extend(height.to_le_bytes());
    }
    frame.extend((at.as_nanos() as u64).to_be_bytes());
    frame
}

/// When a synthetic frame was captured.
pub fn captured(block: &Block) -> Duration {
    let bytes = block.data.last_chunk::<8>().unwrap();
    Duration::from_nanos(u64::from_be_bytes(*bytes))
}

/// By how many milliseconds a block's time is later than its capture.
pub fn lateness(block: &Block) -> f64 {
    block.time as f64 - captured(block).as_secs_f64() * 1_000.0
}

/// The largest difference in lateness of any two blocks, in milliseconds.
pub fn spread<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> f64 {
    let (least, most) = blocks
        .into_iter()
        .map(lateness)
        .fold((f64::MAX, f64::MIN), |(least, most), late| (least.min(late), most.max(late)));
    most - least
}

/// Reproducible random numbers.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Coded VP8 frames at 25 fps.
pub fn send_coded_video(script: &mut Script, source: &mut Source, frames: &[Vec<u8>], delay: Duration) {
    for (index, frame) in frames.iter().enumerate() {
        let at = ms(40 * index as u64);
        let packets = source.frame(at, packetize::vp8(frame, index as u16));
        script.rtp(at + delay, VIDEO, packets);
    }
}

/// Coded Opus packets of 20 ms.
pub fn send_coded_audio(script: &mut Script, source: &mut Source, packets: &[Vec<u8>], delay: Duration) {
    for (index, packet) in packets.iter().enumerate() {
        let at = ms(20 * index as u64);
        let packets = source.frame(at, vec![packet.clone()]);
        script.rtp(at + delay, AUDIO, packets);
    }
}
