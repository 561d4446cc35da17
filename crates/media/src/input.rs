//! What a recorder is told.

use std::time::Instant;

use bytes::Bytes;
use rtp::{LayerId, MediaKind, PayloadFormat, RtpPacket, SenderReport, TrackId};

use crate::MediaTime;

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
        /// When the kernel received it.
        arrival: Instant,
        /// The report.
        report: SenderReport,
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
