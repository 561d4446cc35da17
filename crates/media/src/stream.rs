//! One RTP source: its packets in order, its frames, its clock.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Anchor, Encoding, KeyframeReason, MediaKind, PayloadFormat, RtpPacket,
    depacketize::{Depacketizer, codec, red},
    frame::{Assembler, BufferPool, CodedFrame, FrameCounters, FrameData},
    reorder::{Pushed, Released, Reorder},
    sync::StreamClock,
};

/// Counters of a source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamCounters {
    pub packets: u64,
    pub duplicates: u64,
    pub late: u64,
    pub lost: u64,
    pub corrupt: u64,
    pub frames_dropped: u64,
}

impl std::ops::AddAssign for StreamCounters {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.lost += other.lost;
        self.corrupt += other.corrupt;
        self.frames_dropped += other.frames_dropped;
    }
}

/// The packets of one SSRC.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    max_wait: Duration,
    reorder: Reorder,
    /// Its packets are not looked at.
    asleep: bool,
    assembler: Option<Assembler>,
    pub(crate) clock: StreamClock,
    /// Timestamp of the newest audio frame, which redundant blocks are compared with.
    newest_audio: Option<u32>,
    counters: StreamCounters,
}

impl Stream {
    pub(crate) fn new(ssrc: u32, max_wait: Duration, anchor: Anchor, clock_rate: u32) -> Self {
        Self {
            ssrc,
            max_wait,
            reorder: Reorder::new(max_wait),
            asleep: false,
            assembler: None,
            clock: StreamClock::new(clock_rate, anchor),
            newest_audio: None,
            counters: StreamCounters::default(),
        }
    }

    pub(crate) fn counters(&self) -> StreamCounters {
        let FrameCounters { corrupt, frames_dropped } =
            self.assembler.as_ref().map_or_else(FrameCounters::default, |assembler| assembler.counters);
        StreamCounters {
            lost: self.counters.lost + self.reorder.lost(),
            corrupt: self.counters.corrupt + corrupt,
            frames_dropped: self.counters.frames_dropped + frames_dropped,
            ..self.counters
        }
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.reorder.held_bytes()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.reorder.deadline()
    }

    /// Takes a packet in; frames that are complete by it go to `frames`.
    pub(crate) fn push(
        &mut self,
        arrival: Instant,
        packet: RtpPacket,
        formats: &[PayloadFormat],
        pool: &mut BufferPool,
        frames: &mut Vec<CodedFrame>,
    ) {
        self.counters.packets += 1;
        self.asleep = false;
        match self.reorder.push(arrival, packet) {
            Pushed::Next(released) => self.release(released, formats, pool, frames),
            Pushed::Held => {
                self.skip_filled_hole(formats);
                self.pop(arrival, formats, pool, frames);
            }
            Pushed::Duplicate => self.counters.duplicates += 1,
            Pushed::Late => self.counters.late += 1,
        }
    }

    /// Gives up the holes whose time has come.
    pub(crate) fn pop(
        &mut self,
        now: Instant,
        formats: &[PayloadFormat],
        pool: &mut BufferPool,
        frames: &mut Vec<CodedFrame>,
    ) {
        while let Some(released) = self.reorder.pop(now) {
            self.release(released, formats, pool, frames);
        }
    }

    /// Gives up every hole: nothing more comes, or nothing more may be held.
    pub(crate) fn drain(
        &mut self,
        formats: &[PayloadFormat],
        pool: &mut BufferPool,
        frames: &mut Vec<CodedFrame>,
    ) {
        while let Some(released) = self.reorder.pop_anyway() {
            self.release(released, formats, pool, frames);
        }
    }

    /// The stream is over.
    pub(crate) fn finish(
        &mut self,
        formats: &[PayloadFormat],
        pool: &mut BufferPool,
        frames: &mut Vec<CodedFrame>,
    ) {
        self.drain(formats, pool, frames);
        frames.extend(self.assembler.as_mut().and_then(|assembler| assembler.finish(pool)));
    }

    /// Drops what comes before the next keyframe.
    pub(crate) fn hold(&mut self, reason: KeyframeReason) {
        if let Some(assembler) = &mut self.assembler {
            assembler.hold(reason);
        }
    }

    /// Counts a packet, which is not looked at. What comes after begins anew, with a keyframe.
    pub(crate) fn sleep(&mut self) {
        self.counters.packets += 1;
        if !self.asleep {
            self.asleep = true;
            self.counters.lost += self.reorder.lost();
            self.reorder = Reorder::new(self.max_wait);
            self.retire_assembler();
        }
    }

    /// A reason to ask for a keyframe now.
    pub(crate) fn keyframe_wanted(&mut self, now: Instant) -> Option<KeyframeReason> {
        self.assembler.as_mut()?.keyframe_wanted(now)
    }

    fn release(
        &mut self,
        released: Released,
        formats: &[PayloadFormat],
        pool: &mut BufferPool,
        frames: &mut Vec<CodedFrame>,
    ) {
        let Released { packet, arrival, after_gap } = released;
        let payload_type = packet.payload_type;
        let Some(format) = formats.iter().find(|format| format.payload_type == payload_type) else {
            self.counters.corrupt += 1;
            return;
        };
        let Some(codec) = codec(format.encoding) else {
            return self.unwrap_red(&packet, arrival, formats, frames);
        };
        let current = self.assembler.as_ref().map(Assembler::codec);
        if current != Some(codec) && (current.is_some() || codec.kind() == MediaKind::Video) {
            frames.extend(self.assembler.as_mut().and_then(|assembler| assembler.finish(pool)));
            self.retire_assembler();
            self.assembler = Depacketizer::new(format)
                .map(|depacketizer| Assembler::new(codec, format.clock_rate, depacketizer));
        }
        match &mut self.assembler {
            Some(assembler) => {
                frames.extend(assembler.close_before(&packet, after_gap, pool));
                frames.extend(assembler.push(&packet, arrival, pool));
            }
            None => self.audio(format, packet.timestamp, arrival, packet.payload, frames),
        }
    }

    /// A packet of audio is a frame.
    fn audio(
        &mut self,
        format: &PayloadFormat,
        timestamp: u32,
        arrival: Instant,
        payload: Bytes,
        frames: &mut Vec<CodedFrame>,
    ) {
        let Some(codec) = codec(format.encoding).filter(|codec| codec.kind() == MediaKind::Audio) else {
            self.counters.corrupt += 1;
            return;
        };
        if payload.is_empty() {
            return;
        }
        self.newest_audio = Some(timestamp);
        frames.push(CodedFrame {
            codec,
            channels: format.channels,
            timestamp,
            clock_rate: format.clock_rate,
            arrival,
            keyframe: true,
            size: None,
            rotation: None,
            data: FrameData::Packet(payload),
        });
    }

    /// The primary block goes on as a packet of its own format; the others do so where they fill a hole.
    fn unwrap_red(
        &mut self,
        packet: &RtpPacket,
        arrival: Instant,
        formats: &[PayloadFormat],
        frames: &mut Vec<CodedFrame>,
    ) {
        let Ok(blocks) = red::blocks(&packet.payload) else {
            self.counters.corrupt += u64::from(!packet.payload.is_empty());
            return;
        };
        let primary = blocks.len().saturating_sub(1);
        for (index, block) in blocks.into_iter().enumerate() {
            let timestamp = packet.timestamp.wrapping_sub(block.offset);
            if index != primary {
                let fills = self.newest_audio.is_some_and(|newest| {
                    timestamp.wrapping_sub(newest).cast_signed() > 0
                        && block.offset > 0
                        && !block.data.is_empty()
                });
                if !fills {
                    continue;
                }
                self.reorder.recovered();
            }
            match formats.iter().find(|format| format.payload_type == block.payload_type) {
                Some(format) => {
                    self.audio(format, timestamp, arrival, packet.payload.slice(block.data), frames);
                }
                None => self.counters.corrupt += 1,
            }
        }
    }

    /// A hole that the redundancy behind it fills is not waited for.
    fn skip_filled_hole(&mut self, formats: &[PayloadFormat]) {
        let filled = self.reorder.after_hole().is_some_and(|(packet, width)| {
            formats
                .iter()
                .any(|format| format.payload_type == packet.payload_type && format.encoding == Encoding::Red)
                && red::blocks(&packet.payload).is_ok_and(|blocks| blocks.len() > width)
        });
        if filled {
            self.reorder.skip_hole();
        }
    }

    fn retire_assembler(&mut self) {
        if let Some(assembler) = self.assembler.take() {
            self.counters.corrupt += assembler.counters.corrupt;
            self.counters.frames_dropped += assembler.counters.frames_dropped;
        }
    }
}
