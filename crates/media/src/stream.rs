//! One RTP stream (one SSRC): its packets in order, its frames, its media clock.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Encoding, KeyframeReason, MediaKind, PayloadFormat, RtpPacket, RtpTimestamp, Ssrc, TrackConfig,
    context::SessionContext,
    depacketize::{Depacketizer, red},
    event_log::log_event,
    frame::{Assembler, CodedFrame, FrameCounters, FrameData},
    reorder::{Pushed, Released, Reorder},
    sync::StreamClock,
};

/// Counters of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamCounters {
    pub packets: u64,
    pub duplicates: u64,
    pub late: u64,
    pub lost: u64,
    pub out_of_sequence: u64,
    pub malformed: u64,
    pub unknown_payload_type: u64,
    pub frames_dropped: u64,
}

impl std::ops::AddAssign for StreamCounters {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.lost += other.lost;
        self.out_of_sequence += other.out_of_sequence;
        self.malformed += other.malformed;
        self.unknown_payload_type += other.unknown_payload_type;
        self.frames_dropped += other.frames_dropped;
    }
}

/// The packets of one SSRC. Complete frames are appended to [`SessionContext::frames`].
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) ssrc: Ssrc,
    max_wait: Duration,
    reorder: Reorder,
    /// Its packets are counted and dropped, as a better simulcast layer is written.
    suspended: bool,
    assembler: Option<Assembler>,
    pub(crate) clock: StreamClock,
    /// Timestamp of the newest audio frame, with which redundant blocks are compared.
    newest_audio: Option<RtpTimestamp>,
    /// Whether the log's newest event about keyframes says that the stream waits for one.
    keyframe_wait_logged: bool,
    counters: StreamCounters,
}

impl Stream {
    /// A stream that has received nothing. `clock_rate` is that of its first packet's format.
    pub(crate) fn new(ssrc: Ssrc, clock_rate: u32, track: &TrackConfig, max_wait: Duration) -> Self {
        Self {
            ssrc,
            max_wait,
            reorder: Reorder::new(max_wait),
            suspended: false,
            assembler: None,
            clock: StreamClock::new(clock_rate, track.anchor),
            newest_audio: None,
            keyframe_wait_logged: false,
            counters: StreamCounters::default(),
        }
    }

    pub(crate) fn counters(&self) -> StreamCounters {
        let frames =
            self.assembler.as_ref().map_or_else(FrameCounters::default, |assembler| assembler.counters);
        StreamCounters {
            lost: self.counters.lost + self.reorder.lost(),
            out_of_sequence: self.counters.out_of_sequence + self.reorder.out_of_sequence(),
            malformed: self.counters.malformed + frames.malformed,
            frames_dropped: self.counters.frames_dropped + frames.dropped,
            ..self.counters
        }
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.reorder.held_bytes()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.reorder.deadline()
    }

    /// Adds a packet.
    pub(crate) fn push(
        &mut self,
        arrival: Instant,
        packet: RtpPacket,
        track: &TrackConfig,
        context: &mut SessionContext,
    ) {
        self.counters.packets += 1;
        self.suspended = false;
        let (ssrc, seq) = (self.ssrc, packet.sequence_number);
        match self.reorder.push(arrival, packet) {
            Pushed::Next(released) => return self.release(released, track, context),
            Pushed::Duplicate => {
                self.counters.duplicates += 1;
                return;
            }
            Pushed::Late => {
                self.counters.late += 1;
                log_event!(context, track = %track.name, %ssrc, seq, "late packet dropped");
                return;
            }
            Pushed::Held => {}
            Pushed::OpensHole(hole) => {
                log_event!(
                    context,
                    track = %track.name, %ssrc, seq = hole.first, count = hole.count, "packets missing"
                );
            }
            Pushed::FillsHole(since) => {
                let waited_ms = arrival.saturating_duration_since(since).as_millis();
                log_event!(context, track = %track.name, %ssrc, seq, waited_ms, "missing packet received");
            }
            Pushed::OutOfSequence => {
                log_event!(context, track = %track.name, %ssrc, seq, "packet out of sequence");
            }
            Pushed::Restarted => {
                log_event!(context, track = %track.name, %ssrc, seq, "sequence numbers restarted");
            }
        }
        self.skip_hole_filled_by_redundancy(track, context);
        self.pop(arrival, track, context);
    }

    /// Gives up the holes whose wait is over.
    pub(crate) fn pop(&mut self, now: Instant, track: &TrackConfig, context: &mut SessionContext) {
        while let Some(released) = self.reorder.pop(now) {
            self.release(released, track, context);
        }
    }

    /// Gives up all holes: the stream ended, or too many bytes are held.
    pub(crate) fn drain(&mut self, track: &TrackConfig, context: &mut SessionContext) {
        while let Some(released) = self.reorder.pop_now() {
            self.release(released, track, context);
        }
    }

    /// The stream ended: everything held is released.
    pub(crate) fn finish(&mut self, track: &TrackConfig, context: &mut SessionContext) {
        self.drain(track, context);
        let last = self.assembler.as_mut().and_then(|assembler| assembler.finish(&mut context.pool));
        context.frames.extend(last);
    }

    /// Drops all frames up to the next keyframe, and requests one.
    pub(crate) fn wait_for_keyframe(
        &mut self,
        reason: KeyframeReason,
        track: &TrackConfig,
        context: &mut SessionContext,
    ) {
        if let Some(assembler) = &mut self.assembler {
            assembler.wait_for_keyframe(reason);
        }
        self.log_keyframe_wait(None, track, context);
    }

    /// Counts a packet and drops it. If the stream is used again, it starts at a keyframe.
    pub(crate) fn suspend(&mut self) {
        self.counters.packets += 1;
        if !self.suspended {
            self.suspended = true;
            self.counters.lost += self.reorder.lost();
            self.counters.out_of_sequence += self.reorder.out_of_sequence();
            self.reorder = Reorder::new(self.max_wait);
            self.retire_assembler();
        }
    }

    /// The reason to request a keyframe now, if there is one.
    pub(crate) fn keyframe_request(&mut self, now: Instant) -> Option<KeyframeReason> {
        self.assembler.as_mut()?.keyframe_request(now)
    }

    fn release(&mut self, released: Released, track: &TrackConfig, context: &mut SessionContext) {
        let Released { packet, arrival, after_gap } = released;
        if after_gap && let Some(hole) = self.reorder.take_given_up() {
            let waited_ms = context.now.saturating_duration_since(hole.since).as_millis();
            log_event!(
                context,
                track = %track.name, ssrc = %self.ssrc, seq = hole.first, count = hole.count, waited_ms,
                "missing packets given up"
            );
        }
        let payload_type = packet.payload_type;
        let Some(format) = track.formats.iter().find(|format| format.payload_type == payload_type) else {
            self.counters.unknown_payload_type += 1;
            return;
        };
        let Some(codec) = format.encoding.codec() else {
            return self.unwrap_red(&packet, arrival, track, context);
        };
        let current = self.assembler.as_ref().map(Assembler::codec);
        if current != Some(codec) && (current.is_some() || codec.kind() == MediaKind::Video) {
            let last = self.assembler.as_mut().and_then(|assembler| assembler.finish(&mut context.pool));
            context.frames.extend(last);
            self.retire_assembler();
            self.assembler = Depacketizer::new(format)
                .map(|depacketizer| Assembler::new(codec, format.clock_rate, depacketizer));
        }
        match &mut self.assembler {
            Some(assembler) => {
                context.frames.extend(assembler.close_before(&packet, after_gap, &mut context.pool));
                context.frames.extend(assembler.push(&packet, arrival, &mut context.pool));
                self.log_keyframe_wait(Some(packet.sequence_number), track, context);
            }
            None => self.audio(format, packet.timestamp, arrival, packet.payload, &mut context.frames),
        }
    }

    /// Makes a frame of an audio packet.
    fn audio(
        &mut self,
        format: &PayloadFormat,
        timestamp: RtpTimestamp,
        arrival: Instant,
        payload: Bytes,
        frames: &mut Vec<CodedFrame>,
    ) {
        let Some(codec) = format.encoding.codec().filter(|codec| codec.kind() == MediaKind::Audio) else {
            self.counters.malformed += 1;
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

    /// Handles each block of redundant audio as a packet of its own format: the primary block always, another only if it
    /// is newer than the newest frame, which means that its own packet was lost.
    fn unwrap_red(
        &mut self,
        packet: &RtpPacket,
        arrival: Instant,
        track: &TrackConfig,
        context: &mut SessionContext,
    ) {
        let Ok(blocks) = red::blocks(&packet.payload) else {
            self.counters.malformed += u64::from(!packet.payload.is_empty());
            return;
        };
        let primary = blocks.len().saturating_sub(1);
        for (index, block) in blocks.into_iter().enumerate() {
            let timestamp = packet.timestamp.minus_ticks(block.offset);
            if index != primary {
                let was_lost = self.newest_audio.is_some_and(|newest| {
                    timestamp.ticks_since(newest) > 0 && block.offset > 0 && !block.data.is_empty()
                });
                if !was_lost {
                    continue;
                }
                self.reorder.count_recovered();
            }
            match track.formats.iter().find(|format| format.payload_type == block.payload_type) {
                Some(format) => {
                    let payload = packet.payload.slice(block.data);
                    self.audio(format, timestamp, arrival, payload, &mut context.frames);
                }
                None => self.counters.unknown_payload_type += 1,
            }
        }
    }

    /// Gives up a hole at once if the redundant audio behind it contains the missing packets.
    fn skip_hole_filled_by_redundancy(&mut self, track: &TrackConfig, context: &mut SessionContext) {
        let filled =
            self.reorder.after_hole().is_some_and(|(packet, width)| {
                track.formats.iter().any(|format| {
                    format.payload_type == packet.payload_type && format.encoding == Encoding::Red
                }) && red::blocks(&packet.payload).is_ok_and(|blocks| blocks.len() > width)
            });
        if filled {
            self.reorder.give_up_hole();
            if let Some(hole) = self.reorder.take_given_up() {
                log_event!(
                    context,
                    track = %track.name, ssrc = %self.ssrc, seq = hole.first, count = hole.count,
                    "missing packets found in redundant audio"
                );
            }
        }
    }

    /// Logs when the stream begins to drop frames until a keyframe, and when the keyframe has arrived.
    fn log_keyframe_wait(&mut self, seq: Option<u16>, track: &TrackConfig, context: &mut SessionContext) {
        let Some(assembler) = &self.assembler else { return };
        let reason = assembler.waits_for_keyframe();
        if reason.is_some() == self.keyframe_wait_logged {
            return;
        }
        self.keyframe_wait_logged = reason.is_some();
        let frames_dropped = self.counters.frames_dropped + assembler.counters.dropped;
        match reason {
            Some(reason) => log_event!(
                context,
                track = %track.name, ssrc = %self.ssrc, seq, ?reason, frames_dropped,
                "video dropped until the next keyframe"
            ),
            None => log_event!(
                context,
                track = %track.name, ssrc = %self.ssrc, seq, frames_dropped, "keyframe received"
            ),
        }
    }

    fn retire_assembler(&mut self) {
        if let Some(assembler) = self.assembler.take() {
            self.counters.malformed += assembler.counters.malformed;
            self.counters.frames_dropped += assembler.counters.dropped;
        }
    }
}
