//! What a recorder is told.

use std::time::Instant;

use bytes::Bytes;

use crate::MediaTime;

/// A track of the session, as its owner numbers it. A number is never used for two tracks of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

/// A simulcast layer of a track: its place in the offer's `a=simulcast` list. 0 where there is no simulcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LayerId(pub u8);

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// What the payload of an RTP payload type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// The AV1 RTP payload specification, version 1.0.
    Av1,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// RFC 7587.
    Opus,
    /// RFC 3551 §4.5.14, µ-law.
    Pcmu,
    /// RFC 3551 §4.5.14, A-law.
    Pcma,
    /// RFC 3551 §4.5.2. Its RTP clock is 8 kHz though it is sampled at 16 kHz.
    G722,
    /// Signed 16-bit little-endian samples at the format's clock rate, which does not come by RTP.
    Pcm,
    /// Redundant audio (RFC 2198) whose blocks name the payload types of the track's other formats.
    Red,
}

/// One payload type of a track (`a=rtpmap` and `a=fmtp`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFormat {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub encoding: Encoding,
    /// RTP ticks a second.
    pub clock_rate: u32,
    /// Audio channels as the rtpmap states them; zero for video.
    pub channels: u8,
    /// The format parameters (`a=fmtp`) as sent, empty where there are none.
    pub fmtp: String,
}

/// What a track's clock is tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// RTCP sender reports tell the capture time; until they come, arrival does. WebRTC.
    #[default]
    SenderReports,
    /// Arrival tells the time; the source stops sending in silence and restarts. Discord. Frames that come with their
    /// times ([`Input::Frame`]) have nothing to do with either.
    Arrival,
}

/// A track that is about to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackConfig {
    /// Its number.
    pub id: TrackId,
    /// The SDP `mid`, or another name; it becomes the track's name in the file.
    pub name: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Every payload type that it may use. A packet of another type is dropped and counted.
    pub formats: Vec<PayloadFormat>,
    /// What its clock is tied to.
    pub anchor: Anchor,
}

/// How the picture has to be turned to stand upright, from the 3GPP video-orientation extension (CVO).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// As it is.
    #[default]
    None,
    /// 90 degrees clockwise.
    Clockwise90,
    /// 180 degrees.
    UpsideDown,
    /// 270 degrees clockwise.
    Clockwise270,
}

/// One decrypted RTP packet, resent ones already unwrapped to their original form (RFC 4588).
#[derive(Debug, Clone)]
pub struct RtpPacket {
    /// Its source. When it changes within a track and layer, the stream's sequence and clock start anew.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Its sequence number.
    pub sequence_number: u16,
    /// Its media timestamp, in ticks of the format's clock.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// The picture's rotation where the packet tells it (usually the last of a keyframe).
    pub rotation: Option<Rotation>,
    /// The payload, padding removed. Empty if the packet is padding alone: it takes its place in the sequence.
    pub payload: Bytes,
}

/// The time of a sender report: seconds since 1900 in the upper half, fractions of 2⁻³² s in the lower (RFC 3550 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

/// An event for a recorder. Times must not run backwards from call to call; if they do, the latest is taken.
#[derive(Debug, Clone)]
pub enum Input {
    /// A track joins. Adding a number twice updates its formats.
    AddTrack {
        /// The track.
        track: TrackConfig,
        /// When.
        at: Instant,
    },
    /// A track is over: what it holds is written, and nothing waits for it any more.
    EndTrack {
        /// The track.
        track: TrackId,
        /// When.
        at: Instant,
    },
    /// A packet.
    Rtp {
        /// Its track. Packets of a track that was not added are dropped and counted.
        track: TrackId,
        /// Its simulcast layer.
        layer: LayerId,
        /// When the kernel received it.
        arrival: Instant,
        /// The packet.
        packet: RtpPacket,
    },
    /// An RTCP sender report.
    SenderReport {
        /// Its track.
        track: TrackId,
        /// Its simulcast layer.
        layer: LayerId,
        /// The source that it speaks of.
        ssrc: u32,
        /// When the kernel received it.
        arrival: Instant,
        /// The sender's wall clock.
        ntp: NtpTime,
        /// The same instant on the source's media clock.
        rtp_timestamp: u32,
    },
    /// An audio frame with its place in time, from a source that does not speak RTP. It is of the track's first format.
    /// A session's tracks either all send such frames or all send packets: the two clocks are not compared.
    Frame {
        /// Its track. Frames of a track that was not added are dropped and counted.
        track: TrackId,
        /// Now.
        at: Instant,
        /// When it begins, from any origin that the session's tracks share. The first one becomes the file's zero.
        time: MediaTime,
        /// The frame.
        data: Bytes,
    },
    /// What is captured from now on is not kept, until [`Resume`](Input::Resume). What was captured before and is still
    /// on its way is. Repeating it changes nothing.
    Pause(Instant),
    /// What is captured from now on is kept again, and follows in the file right after what came before the pause.
    /// Video goes on with a keyframe, which is asked for.
    Resume(Instant),
    /// The time that [`Output::Timeout`](crate::Output::Timeout) asked for has come.
    Timeout(Instant),
    /// The session is over: write everything, close the file.
    Finish(Instant),
}
