//! What a recorder answers.

use std::{ops, time::Duration, time::Instant};

use bytes::Bytes;
use rtp::{Codec, Container, LayerId, MediaKind, TrackId};

/// A point on the recording's timeline: nanoseconds from its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(pub i64);

impl MediaTime {
    /// The recording's origin.
    pub const ZERO: Self = Self(0);

    /// From the origin to here; zero for what lies before it.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl ops::Add<Duration> for MediaTime {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl ops::Sub for MediaTime {
    type Output = i64;

    /// Nanoseconds from `other` to here.
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Why a keyframe is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyframeReason {
    /// The stream began without one.
    Start,
    /// A hole was given up: what follows can't be decoded.
    Loss,
    /// Another simulcast layer is to be recorded.
    LayerSwitch,
    /// A pause is over.
    Resume,
    /// A payload could not be understood.
    Corrupt,
}

/// What the recorder's owner has to do.
#[derive(Debug, Clone)]
pub enum Output {
    /// Append these bytes to the file. Parts come large (the configured size) or when they grow old.
    Append(Bytes),
    /// Overwrite bytes that were appended earlier.
    Patch {
        /// Where, from the beginning of the file.
        offset: u64,
        /// What. Never reaches beyond what was appended.
        bytes: Bytes,
    },
    /// Begin the file anew: what was appended so far was a draft, and a better one follows.
    Restart,
    /// Ask the sender for a keyframe.
    Keyframe(TrackId, LayerId, KeyframeReason),
    /// The file is complete; after [`Input::Finish`](crate::Input::Finish), once.
    Finished(RecordingSummary),
    /// Nothing more for now: call with [`Input::Timeout`](crate::Input::Timeout) at this time, or earlier with
    /// another input. None: nothing is waited for.
    Timeout(Option<Instant>),
}

/// How much of a growing file is final: no [`Output::Patch`] that is still to come touches what lies between `from` and
/// `until`, nor does the repair of a file that a crash cut. It holds for what is written once all outputs so far have
/// been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalBytes {
    /// Bytes of the header, which is rewritten as tracks join and when the file ends.
    pub from: u64,
    /// Within the first cluster that is not all written, or whose size is not known yet.
    pub until: u64,
    /// The time of the recording from which on frames may lie behind `until`: all earlier ones are before it, but for
    /// those that came so late that they were written out of order.
    pub time: Duration,
    /// Entries in the header so far: with each new one the header has changed.
    pub entries: usize,
    /// The file format, as the tracks so far have it.
    pub container: Container,
}

/// What is in a finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSummary {
    /// The file format. None if no frame was ever written: then there is no file.
    pub container: Option<Container>,
    /// As in the file's header.
    pub duration: Duration,
    /// The file's size.
    pub bytes: u64,
    /// The tracks in the file, by number.
    pub tracks: Vec<TrackSummary>,
}

/// A track in a finished file. A track of the session that changed its codec is several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackSummary {
    /// The session's track.
    pub track: TrackId,
    /// The Matroska track number, from 1.
    pub number: u32,
    /// The track's name ([`TrackConfig::name`](crate::TrackConfig::name)).
    pub name: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its codec.
    pub codec: Codec,
    /// Pixels of the first keyframe; zero for audio.
    pub width: u32,
    /// Pixels of the first keyframe; zero for audio.
    pub height: u32,
    /// When its first frame is presented.
    pub start: MediaTime,
    /// When its last frame ends.
    pub end: MediaTime,
    /// Frames written.
    pub frames: u64,
    /// Of them keyframes.
    pub keyframes: u64,
    /// Payload bytes written.
    pub bytes: u64,
    /// Packets that never came.
    pub packets_lost: u64,
}

/// Counters of a running recorder, cheap to take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes appended so far, those still in the recorder's buffer included.
    pub bytes: u64,
    /// Where the newest frame written ends.
    pub position: MediaTime,
    /// Bytes of frames and packets held back for order.
    pub held_bytes: usize,
    /// Packets of tracks that were not added.
    pub strays: u64,
    /// By track.
    pub tracks: Vec<(TrackId, TrackStatistics)>,
}

/// Counters of one track, its layers added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackStatistics {
    /// Packets taken in.
    pub packets: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after their place was given up.
    pub late: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that could not be understood.
    pub corrupt: u64,
    /// Frames written.
    pub frames: u64,
    /// Frames dropped because what they refer to was lost.
    pub frames_dropped: u64,
    /// The layer that is being written.
    pub layer: LayerId,
    /// Pixels of the newest keyframe; zero for audio.
    pub width: u32,
    /// Pixels of the newest keyframe; zero for audio.
    pub height: u32,
    /// What is being written; none until the first frame.
    pub codec: Option<Codec>,
    /// By how many nanoseconds its media arrives later (negative: earlier) than what the session's first audio track, or
    /// without audio its first track, captured at the same time: the error in lip-sync that going by arrival would make, and
    /// that is not made. Smoothed over some 16 frames. None until frames of both have followed a sender report, or if their
    /// senders' clocks differ.
    pub av_offset: Option<i64>,
}
