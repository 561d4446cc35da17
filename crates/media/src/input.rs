//! Inputs of a recorder.

use std::time::Instant;

use bytes::Bytes;
use rtp::{LayerId, MediaKind, PayloadFormat, RtpPacket, SenderReport, TrackId};

use crate::MediaTime;

/// What maps a track's media clock to real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// RTCP sender reports, and arrival until they are received. For WebRTC.
    #[default]
    SenderReports,
    /// Arrival. The source may stop its clock while it sends nothing. For Discord. Frames with times of their own
    /// ([`Input::Frame`]) need neither.
    Arrival,
}

/// A track of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackConfig {
    /// Its id in the session.
    pub id: TrackId,
    /// The SDP `mid`, or another name. It is the track's name in the file and in log events.
    pub name: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// The payload types that it may use. Packets of others are dropped and counted.
    pub formats: Vec<PayloadFormat>,
    /// What maps its media clock to real time.
    pub anchor: Anchor,
}

/// An event for a recorder. Times must not run backwards from input to input. If one does, the latest time is used.
#[derive(Debug, Clone)]
pub enum Input {
    /// A track joins. If its id was added before, its configuration is replaced.
    AddTrack {
        /// The track.
        track: TrackConfig,
        /// When.
        at: Instant,
    },
    /// A track ends: its held frames are written, and other tracks do not wait for it. It may send again later.
    EndTrack {
        /// The track.
        track: TrackId,
        /// When.
        at: Instant,
    },
    /// An RTP packet.
    Rtp {
        /// Its track. Packets of tracks that were not added are dropped and counted.
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
    /// An audio frame with its time, from a source without RTP. It is in the track's first format. The tracks of a session
    /// either all have such frames or all have packets, as the two clocks are not compared.
    Frame {
        /// Its track. Frames of tracks that were not added are dropped and counted.
        track: TrackId,
        /// The present time.
        at: Instant,
        /// When it begins, from an origin that the session's tracks share. The first frame's time becomes the file's zero.
        time: MediaTime,
        /// The frame.
        data: Bytes,
    },
    /// Media captured from now on is dropped, until [`Resume`](Input::Resume). Media captured before is recorded, even if it
    /// arrives later. In a pause this input changes nothing.
    Pause(Instant),
    /// Media captured from now on is recorded again, and continues in the file where the pause began. Video continues with a
    /// keyframe, which is requested. Without a pause this input changes nothing.
    Resume(Instant),
    /// The time of [`Output::Timeout`](crate::Output::Timeout) is reached.
    Timeout(Instant),
    /// The session ended: all held frames are written, and the file is finished.
    Finish(Instant),
}
