//! Packets in order to whole frames; after a loss nothing until the next keyframe.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Codec, KeyframeReason, Rotation, RtpPacket,
    depacketize::{Depacketizer, Picture, PictureId, audio},
};

/// A keyframe is asked for again after this long without one.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Buffers kept for the next pictures, and the largest that is kept: an idle session costs little.
const POOLED: usize = 3;
const POOLED_BYTES: usize = 16 << 10;

/// A frame's bytes: a packet's payload as it came, or put together from several.
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

/// Buffers of pictures that were written, for those to come.
#[derive(Debug, Clone, Default)]
pub(crate) struct BufferPool(Vec<Vec<u8>>);

impl BufferPool {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, data: FrameData) {
        if let FrameData::Assembled(mut buffer) = data
            && self.0.len() < POOLED
            && buffer.capacity() <= POOLED_BYTES
        {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// A complete coded frame, not yet on the recording's timeline.
#[derive(Debug, Clone)]
pub(crate) struct CodedFrame {
    pub codec: Codec,
    /// As the rtpmap states them; zero for video.
    pub channels: u8,
    /// RTP timestamp, in ticks of this rate.
    pub timestamp: u32,
    pub clock_rate: u32,
    /// When its first packet arrived.
    pub arrival: Instant,
    /// Every audio frame is one.
    pub keyframe: bool,
    /// Width and height in pixels, at least in each video keyframe.
    pub size: Option<(u32, u32)>,
    pub rotation: Option<Rotation>,
    pub data: FrameData,
}

impl CodedFrame {
    /// Nanoseconds that it sounds; zero for video.
    pub(crate) fn sounds(&self) -> i64 {
        audio::duration(self.codec, self.channels, self.clock_rate, self.data.as_ref())
    }
}

/// What the assembler counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameCounters {
    pub corrupt: u64,
    pub frames_dropped: u64,
}

#[derive(Debug, Clone)]
struct Open {
    timestamp: u32,
    arrival: Instant,
    rotation: Option<Rotation>,
    /// It began with its first packet, and none is missing since.
    intact: bool,
}

/// Puts the pictures of one video stream together.
///
/// A picture ends with the marker bit or where the timestamp changes. One that lacks a packet is dropped, and so
/// is every picture after it up to the next keyframe, which is asked for at once and then each [`ASK_AGAIN`].
#[derive(Debug, Clone)]
pub(crate) struct Assembler {
    codec: Codec,
    clock_rate: u32,
    depacketizer: Depacketizer,
    open: Option<Open>,
    bytes: Vec<u8>,
    /// The last packet ended its picture.
    ended: bool,
    markers_seen: bool,
    /// Packets are missing just before the next one that has a payload.
    gap: bool,
    last_picture: Option<PictureId>,
    /// Nothing decodes before the next keyframe.
    holding: bool,
    wanted: Option<KeyframeReason>,
    asked: Option<Instant>,
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
            holding: true,
            wanted: None,
            asked: None,
            counters: FrameCounters::default(),
        }
    }

    /// The codec that it was made for.
    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// The picture before this packet, if the packet shows that it is over though its marker never came. Goes
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

    /// Takes the next packet in and gives the picture that it ends.
    pub(crate) fn push(
        &mut self,
        packet: &RtpPacket,
        arrival: Instant,
        pool: &mut BufferPool,
    ) -> Option<CodedFrame> {
        // Padding alone takes a sequence number and says nothing.
        if packet.payload.is_empty() {
            return None;
        }
        let after_gap = std::mem::take(&mut self.gap);
        match self.depacketizer.push(&packet.payload, &mut self.bytes) {
            Ok(piece) => {
                if self.open.is_none() {
                    // Only padding was lost if the sender's picture numbers have no hole.
                    let contiguous = self.ended
                        && (!after_gap
                            || matches!((piece.picture, self.last_picture), (Some(this), Some(last)) if this.follows(last)));
                    if after_gap && !contiguous {
                        self.hold(KeyframeReason::Loss);
                    }
                    self.open(packet, arrival, piece.first.unwrap_or(contiguous));
                }
                self.last_picture = piece.picture.or(self.last_picture);
                self.ended = packet.marker;
            }
            Err(_) => {
                self.counters.corrupt += 1;
                self.bytes.clear();
                self.depacketizer.abandon();
                self.hold(KeyframeReason::Corrupt);
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

    /// The stream is over. Of a sender that never sets the marker the last picture is taken as complete.
    pub(crate) fn finish(&mut self, pool: &mut BufferPool) -> Option<CodedFrame> {
        if let Some(open) = &mut self.open {
            open.intact &= !self.markers_seen;
        }
        self.close(pool)
    }

    /// Everything up to the next keyframe is dropped, as another stream's frames were written meanwhile.
    pub(crate) fn hold(&mut self, reason: KeyframeReason) {
        self.holding = true;
        self.wanted.get_or_insert(reason);
    }

    /// A reason to ask for a keyframe now; counts as asked.
    pub(crate) fn keyframe_wanted(&mut self, now: Instant) -> Option<KeyframeReason> {
        let reason = self.wanted?;
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ASK_AGAIN) {
            return None;
        }
        self.asked = Some(now);
        Some(reason)
    }

    fn open(&mut self, packet: &RtpPacket, arrival: Instant, intact: bool) {
        self.open = Some(Open { timestamp: packet.timestamp, arrival, rotation: None, intact });
    }

    fn close(&mut self, pool: &mut BufferPool) -> Option<CodedFrame> {
        let open = self.open.take()?;
        let picture = if open.intact { self.depacketizer.finish(&mut self.bytes) } else { Ok(None) };
        match picture {
            Ok(Some(picture)) if picture.keyframe || !self.holding => {
                self.holding = false;
                self.wanted = None;
                Some(self.complete(&open, picture, pool))
            }
            // Parameter sets alone, or another unit that is no picture.
            Ok(None) if open.intact => {
                self.bytes.clear();
                None
            }
            outcome => {
                self.counters.frames_dropped += 1;
                self.counters.corrupt += u64::from(outcome.is_err());
                self.bytes.clear();
                self.depacketizer.abandon();
                self.hold(match outcome {
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
    use crate::{Encoding, PayloadFormat};

    struct Bench {
        assembler: Assembler,
        pool: BufferPool,
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
            let start = Instant::now();
            let format = PayloadFormat {
                payload_type: 96,
                encoding: Encoding::Vp8,
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

        /// A packet written as `K` or `P` (a frame's first packet), `.` (one more), `|` (with the marker), `!` in front
        /// (packets were lost before it), `?` (not VP8). Gives the frames that come out as (timestamp, keyframe).
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
                ssrc: 1,
                payload_type: 96,
                sequence_number: 0,
                timestamp,
                marker: packet.contains('|'),
                rotation: None,
                payload: Bytes::copy_from_slice(head),
            };
            let before = self.assembler.close_before(&rtp, packet.contains('!'), &mut self.pool);
            let after = self.assembler.push(&rtp, self.start, &mut self.pool);
            before.into_iter().chain(after).map(|frame| (frame.timestamp, frame.keyframe)).collect()
        }

        fn asked(&mut self) -> Option<KeyframeReason> {
            self.assembler.keyframe_wanted(self.start)
        }
    }

    #[test]
    fn pictures_end_with_the_marker_or_with_the_next_timestamp() {
        let mut bench = Bench::new();
        assert_eq!(bench.push(1, "K"), []);
        assert_eq!(bench.push(1, ".|"), [(1, true)]);
        assert_eq!(bench.push(2, "P"), []);
        assert_eq!(bench.push(3, "P|"), [(2, false), (3, false)]);
        assert_eq!(bench.asked(), None);
    }

    #[test]
    fn a_stream_that_begins_in_the_middle_waits_and_asks() {
        let mut bench = Bench::new();
        assert_eq!(bench.push(1, "P|"), []);
        assert_eq!(bench.asked(), Some(KeyframeReason::Start));
        assert_eq!(bench.asked(), None, "paced");
        assert_eq!(bench.push(2, "P|"), []);
        assert_eq!(bench.push(3, "K|"), [(3, true)]);
        assert_eq!(bench.assembler.counters.frames_dropped, 2);
    }

    #[test]
    fn a_lost_head_tail_or_picture_holds_until_the_next_keyframe() {
        for lost in [&["!.|"][..], &["P", "!P|"], &["P", "!.|"], &["!P|"]] {
            let mut bench = Bench::new();
            assert_eq!(bench.push(1, "K|"), [(1, true)]);
            for (step, packet) in (2..).zip(lost) {
                // The second of two is a new picture only if it begins one.
                let timestamp = if packet.contains('P') { step } else { 2 };
                assert_eq!(bench.push(timestamp, packet), [], "{lost:?}");
            }
            assert_eq!(bench.asked(), Some(KeyframeReason::Loss), "{lost:?}");
            assert_eq!(bench.push(8, "P|"), [], "{lost:?}");
            assert_eq!(bench.push(9, "K|"), [(9, true)], "{lost:?}");
            assert_eq!(bench.push(10, "P|"), [(10, false)], "{lost:?}");
        }
    }

    #[test]
    fn a_keyframe_right_after_a_hole_is_taken() {
        let mut bench = Bench::new();
        bench.push(1, "K|");
        assert_eq!(bench.push(5, "!K|"), [(5, true)]);
        assert_eq!(bench.asked(), None);
    }

    #[test]
    fn a_payload_that_is_not_valid_spoils_its_picture_alone_until_a_keyframe() {
        let mut bench = Bench::new();
        bench.push(1, "K|");
        assert_eq!(bench.push(2, "P"), []);
        assert_eq!(bench.push(2, "?|"), []);
        assert_eq!(bench.asked(), Some(KeyframeReason::Corrupt));
        assert_eq!(bench.push(3, "K|"), [(3, true)]);
        assert_eq!((bench.assembler.counters.corrupt, bench.assembler.counters.frames_dropped), (1, 1));
    }
}
