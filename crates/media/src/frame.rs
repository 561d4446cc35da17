//! Packets in order to whole frames; after a loss nothing until the next keyframe.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    Codec, KeyframeReason, Rotation, RtpPacket,
    depacketize::{Depacketizer, Picture, PictureId},
};

/// A keyframe is asked for again after this long without one.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Buffers kept for the next pictures, and the largest that is kept: an idle session costs little.
const POOLED: usize = 4;
const POOLED_BYTES: usize = 24 << 10;

/// A frame's bytes: a packet's payload as it came, or put together from several.
#[derive(Debug)]
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
#[derive(Debug, Default)]
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
#[derive(Debug)]
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

/// What the assembler counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameCounters {
    pub corrupt: u64,
    pub frames_dropped: u64,
}

#[derive(Debug)]
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
#[derive(Debug)]
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
                    self.open(packet, arrival, piece.head.unwrap_or(contiguous));
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
