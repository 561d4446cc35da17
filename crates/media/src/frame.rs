//! Assembles packets in order into frames. After a loss all frames up to the next keyframe are dropped.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Codec, KeyframeReason, Rotation, RtpPacket, RtpTimestamp,
    depacketize::{Depacketizer, Picture, PictureId, audio},
};

/// A keyframe is requested again after this time without one.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// How many buffers are pooled for the next pictures, and the size of the largest: an idle session needs little memory.
const POOLED: usize = 3;
const POOLED_BYTES: usize = 16 << 10;

/// A frame's bytes: the payload of one packet, or assembled from several.
#[derive(Debug, Clone)]
pub(crate) enum FrameData {
    Packet(Bytes),
    Assembled(Vec<u8>),
}

impl AsRef<[u8]> for FrameData {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Packet(bytes) => bytes,
            Self::Assembled(bytes) => bytes,
        }
    }
}

/// Reuses the buffers of pictures that were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct BufferPool(Vec<Vec<u8>>);

impl BufferPool {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, data: FrameData) {
        if let FrameData::Assembled(mut buffer) = data
            && self.0.len() < POOLED
            && buffer.capacity() <= POOLED_BYTES
        {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// A complete coded frame, without a position in the file.
#[derive(Debug, Clone)]
pub(crate) struct CodedFrame {
    pub codec: Codec,
    /// Audio channels as negotiated; zero for video.
    pub channels: u8,
    /// RTP timestamp, in ticks of `clock_rate`.
    pub timestamp: RtpTimestamp,
    /// Ticks a second.
    pub clock_rate: u32,
    /// When its first packet arrived.
    pub arrival: Instant,
    /// True for every audio frame.
    pub keyframe: bool,
    /// Width and height in pixels. Every video keyframe has them.
    pub size: Option<(u32, u32)>,
    pub rotation: Option<Rotation>,
    pub data: FrameData,
}

impl CodedFrame {
    /// Nanoseconds of audio; zero for video.
    pub(crate) fn audio_duration(&self) -> i64 {
        audio::duration(self.codec, self.channels, self.clock_rate, self.data.as_ref())
    }
}

/// Counters of an assembler.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameCounters {
    /// Packets and pictures that the payload format does not allow.
    pub malformed: u64,
    /// Pictures dropped: incomplete, or undecodable as an earlier one is missing.
    pub dropped: u64,
}

#[derive(Debug, Clone)]
struct Open {
    timestamp: RtpTimestamp,
    arrival: Instant,
    rotation: Option<Rotation>,
    /// Its first packet was received, and none has been missing since.
    intact: bool,
}

/// Assembles the pictures of one video stream.
///
/// A picture ends with the marker bit or with a change of the timestamp. A picture that lacks a packet is dropped, and so is
/// every picture after it up to the next keyframe. The keyframe is requested at once, and then every
/// [`REQUEST_INTERVAL`].
#[derive(Debug, Clone)]
pub(crate) struct Assembler {
    codec: Codec,
    clock_rate: u32,
    depacketizer: Depacketizer,
    open: Option<Open>,
    bytes: Vec<u8>,
    /// The newest packet ended its picture.
    ended: bool,
    markers_seen: bool,
    /// A hole was given up just before the next packet with a payload.
    gap: bool,
    last_picture: Option<PictureId>,
    /// Nothing decodes before the next keyframe.
    waiting: bool,
    /// Why a keyframe is needed. None before the first picture: it may be a keyframe.
    reason: Option<KeyframeReason>,
    requested: Option<Instant>,
    pub(crate) counters: FrameCounters,
}

impl Assembler {
    pub(crate) fn new(codec: Codec, clock_rate: u32, depacketizer: Depacketizer) -> Self {
        Self {
            codec,
            clock_rate,
            depacketizer,
            open: None,
            bytes: Vec::new(),
            ended: false,
            markers_seen: false,
            gap: false,
            last_picture: None,
            waiting: true,
            reason: None,
            requested: None,
            counters: FrameCounters::default(),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Completes the open picture if this packet, of another timestamp, shows that it ended without a marker. Call it
    /// before each [`push`](Self::push).
    pub(crate) fn close_before(
        &mut self,
        packet: &RtpPacket,
        after_gap: bool,
        pool: &mut BufferPool,
    ) -> Option<CodedFrame> {
        self.gap |= after_gap;
        let open = self.open.as_mut()?;
        open.intact &= !self.gap;
        if open.timestamp == packet.timestamp || packet.payload.is_empty() {
            return None;
        }
        self.ended = !self.gap;
        self.close(pool)
    }

    /// Adds the next packet, and returns the picture that it ends.
    pub(crate) fn push(
        &mut self,
        packet: &RtpPacket,
        arrival: Instant,
        pool: &mut BufferPool,
    ) -> Option<CodedFrame> {
        // A packet of padding only has a sequence number, but no data.
        if packet.payload.is_empty() {
            return None;
        }
        let after_gap = std::mem::take(&mut self.gap);
        match self.depacketizer.push(&packet.payload, &mut self.bytes) {
            Ok(piece) => {
                if self.open.is_none() {
                    // If the picture ids continue, the lost packets were padding (RFC 7741 §4.2, RFC 9628 §4.2).
                    let contiguous = self.ended
                        && (!after_gap
                            || matches!((piece.picture, self.last_picture), (Some(this), Some(last)) if this.follows(last)));
                    if after_gap && !contiguous {
                        self.wait_for_keyframe(KeyframeReason::Loss);
                    }
                    self.open(packet, arrival, piece.first.unwrap_or(contiguous));
                }
                self.last_picture = piece.picture.or(self.last_picture);
                self.ended = packet.marker;
            }
            Err(_) => {
                self.counters.malformed += 1;
                self.bytes.clear();
                self.depacketizer.abandon();
                self.wait_for_keyframe(KeyframeReason::Corrupt);
                self.open(packet, arrival, false);
                self.ended = packet.marker;
            }
        }
        self.markers_seen |= packet.marker;
        if let Some(open) = &mut self.open {
            open.rotation = packet.rotation.or(open.rotation);
        }
        if self.ended { self.close(pool) } else { None }
    }

    /// The stream ended. If the sender never sets the marker, the last picture counts as complete.
    pub(crate) fn finish(&mut self, pool: &mut BufferPool) -> Option<CodedFrame> {
        if let Some(open) = &mut self.open {
            open.intact &= !self.markers_seen;
        }
        self.close(pool)
    }

    /// Drops all pictures up to the next keyframe, and requests one.
    pub(crate) fn wait_for_keyframe(&mut self, reason: KeyframeReason) {
        self.waiting = true;
        self.reason.get_or_insert(reason);
    }

    /// Why pictures are dropped up to the next keyframe. None if they are not.
    pub(crate) fn waits_for_keyframe(&self) -> Option<KeyframeReason> {
        self.reason
    }

    /// The reason to request a keyframe now. None within [`REQUEST_INTERVAL`] after the last request.
    pub(crate) fn keyframe_request(&mut self, now: Instant) -> Option<KeyframeReason> {
        let reason = self.reason?;
        let recently = |requested| now.saturating_duration_since(requested) < REQUEST_INTERVAL;
        if self.requested.is_some_and(recently) {
            return None;
        }
        self.requested = Some(now);
        Some(reason)
    }

    fn open(&mut self, packet: &RtpPacket, arrival: Instant, intact: bool) {
        self.open = Some(Open { timestamp: packet.timestamp, arrival, rotation: None, intact });
    }

    fn close(&mut self, pool: &mut BufferPool) -> Option<CodedFrame> {
        let open = self.open.take()?;
        let picture = if open.intact { self.depacketizer.finish(&mut self.bytes) } else { Ok(None) };
        match picture {
            Ok(Some(picture)) if picture.keyframe || !self.waiting => {
                self.waiting = false;
                self.reason = None;
                Some(self.complete(&open, picture, pool))
            }
            // Only parameter sets or other units without a picture.
            Ok(None) if open.intact => {
                self.bytes.clear();
                None
            }
            outcome => {
                self.counters.dropped += 1;
                self.counters.malformed += u64::from(outcome.is_err());
                self.bytes.clear();
                self.depacketizer.abandon();
                self.wait_for_keyframe(match outcome {
                    Err(_) => KeyframeReason::Corrupt,
                    Ok(Some(_)) => KeyframeReason::Start,
                    Ok(None) => KeyframeReason::Loss,
                });
                None
            }
        }
    }

    fn complete(&mut self, open: &Open, picture: Picture, pool: &mut BufferPool) -> CodedFrame {
        CodedFrame {
            codec: self.codec,
            channels: 0,
            timestamp: open.timestamp,
            clock_rate: self.clock_rate,
            arrival: open.arrival,
            keyframe: picture.keyframe,
            size: picture.size,
            rotation: open.rotation,
            data: FrameData::Assembled(std::mem::replace(&mut self.bytes, pool.take())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, PayloadFormat, PayloadType, Ssrc};

    struct Fixture {
        assembler: Assembler,
        pool: BufferPool,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
            let start = Instant::now();
            let format = PayloadFormat {
                payload_type: PayloadType(96),
                encoding: Encoding::Codec(Codec::Vp8),
                clock_rate: 90_000,
                channels: 0,
                fmtp: String::new(),
            };
            let depacketizer = Depacketizer::new(&format).unwrap();
            Self {
                assembler: Assembler::new(Codec::Vp8, 90_000, depacketizer),
                pool: BufferPool::default(),
                start,
            }
        }

        /// Pushes a packet written as `K` or `P` (first packet of a keyframe or another frame), `.` (a further packet), `?`
        /// (not VP8), with `|` (marker) and `!` (packets were lost before it). Returns the complete frames as (timestamp,
        /// keyframe).
        fn push(&mut self, timestamp: u32, packet: &str) -> Vec<(u32, bool)> {
            let head: &[u8] = if packet.contains('K') {
                &[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0]
            } else if packet.contains('P') {
                &[0x10, 1, 0, 0]
            } else if packet.contains('?') {
                &[0x80]
            } else {
                &[0x00, 7]
            };
            let rtp = RtpPacket {
                ssrc: Ssrc(1),
                payload_type: PayloadType(96),
                sequence_number: 0,
                timestamp: RtpTimestamp(timestamp),
                marker: packet.contains('|'),
                rotation: None,
                resent: false,
                payload: Bytes::copy_from_slice(head),
            };
            let before = self.assembler.close_before(&rtp, packet.contains('!'), &mut self.pool);
            let after = self.assembler.push(&rtp, self.start, &mut self.pool);
            before.into_iter().chain(after).map(|frame| (frame.timestamp.0, frame.keyframe)).collect()
        }

        fn request(&mut self) -> Option<KeyframeReason> {
            self.assembler.keyframe_request(self.start)
        }
    }

    #[test]
    fn a_picture_ends_with_the_marker_or_with_the_next_timestamp() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.push(1, "K"), []);
        assert_eq!(fixture.push(1, ".|"), [(1, true)]);
        assert_eq!(fixture.push(2, "P"), []);
        assert_eq!(fixture.push(3, "P|"), [(2, false), (3, false)]);
        assert_eq!(fixture.request(), None);
    }

    #[test]
    fn a_stream_that_starts_without_a_keyframe_requests_one() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.push(1, "P|"), []);
        assert_eq!(fixture.request(), Some(KeyframeReason::Start));
        assert_eq!(fixture.request(), None, "requests have an interval");
        assert_eq!(fixture.push(2, "P|"), []);
        assert_eq!(fixture.push(3, "K|"), [(3, true)]);
        assert_eq!(fixture.assembler.counters.dropped, 2);
    }

    #[test]
    fn a_lost_start_end_or_picture_drops_all_pictures_up_to_the_next_keyframe() {
        for lost in [&["!.|"][..], &["P", "!P|"], &["P", "!.|"], &["!P|"]] {
            let mut fixture = Fixture::new();
            assert_eq!(fixture.push(1, "K|"), [(1, true)]);
            for (step, packet) in (2..).zip(lost) {
                // The second of two packets has a new timestamp only if it begins a picture.
                let timestamp = if packet.contains('P') { step } else { 2 };
                assert_eq!(fixture.push(timestamp, packet), [], "{lost:?}");
            }
            assert_eq!(fixture.request(), Some(KeyframeReason::Loss), "{lost:?}");
            assert_eq!(fixture.push(8, "P|"), [], "{lost:?}");
            assert_eq!(fixture.push(9, "K|"), [(9, true)], "{lost:?}");
            assert_eq!(fixture.push(10, "P|"), [(10, false)], "{lost:?}");
        }
    }

    #[test]
    fn a_keyframe_right_after_a_hole_is_complete() {
        let mut fixture = Fixture::new();
        fixture.push(1, "K|");
        assert_eq!(fixture.push(5, "!K|"), [(5, true)]);
        assert_eq!(fixture.request(), None);
    }

    #[test]
    fn a_malformed_payload_drops_its_picture_and_requests_a_keyframe() {
        let mut fixture = Fixture::new();
        fixture.push(1, "K|");
        assert_eq!(fixture.push(2, "P"), []);
        assert_eq!(fixture.push(2, "?|"), []);
        assert_eq!(fixture.request(), Some(KeyframeReason::Corrupt));
        assert_eq!(fixture.push(3, "K|"), [(3, true)]);
        assert_eq!((fixture.assembler.counters.malformed, fixture.assembler.counters.dropped), (1, 1));
    }
}
