//! Outputs of a recorder.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtp::{Codec, Container, LayerId, MediaKind, TrackId};

/// A point on the recording's timeline: nanoseconds from its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(pub i64);

impl MediaTime {
    /// The recording's origin.
    pub const ZERO: Self = Self(0);

    /// The time from the origin. Zero if this is before it.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

/// Why a keyframe is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyframeReason {
    /// The stream began without a keyframe.
    Start,
    /// A hole was given up, and later frames do not decode.
    Loss,
    /// A better simulcast layer can be recorded from its next keyframe on.
    LayerSwitch,
    /// A pause ended.
    Resume,
    /// A payload was malformed.
    Corrupt,
}

/// What the owner of a recorder has to do, in the order of the outputs.
#[derive(Debug, Clone)]
pub enum Output {
    /// Append these bytes to the file. They have about [`append_bytes`](crate::RecorderConfig::append_bytes), or are
    /// [`append_age`](crate::RecorderConfig::append_age) old.
    Append(Bytes),
    /// Overwrite bytes that were appended earlier.
    Patch {
        /// Offset in the file.
        offset: u64,
        /// The new bytes. They end before the end of the file.
        bytes: Bytes,
    },
    /// Truncate the file to zero bytes. It was a draft, and a better one follows in the next outputs.
    Restart,
    /// Ask the sender for a keyframe.
    Keyframe(TrackId, LayerId, KeyframeReason),
    /// The file is complete. Returned once, after [`Input::Finish`](crate::Input::Finish).
    Finished(RecordingSummary),
    /// There is no further output. Pass [`Input::Timeout`](crate::Input::Timeout) at this time, unless another input is
    /// earlier. None: nothing waits for a time.
    Timeout(Option<Instant>),
}

/// The final bytes of an open file, from `from` to `until`: neither a later [`Output::Patch`] nor the repair after a crash
/// changes them. Valid once all outputs so far are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalBytes {
    /// Offset of the first final byte: the size of the header. The header changes when tracks join and when the file is
    /// finished.
    pub from: u64,
    /// Offset of the first byte that is not final: in the first cluster that is incomplete or has no size yet.
    pub until: u64,
    /// All frames before this time of the recording are before `until`, except those that arrived so late that they were
    /// written out of order.
    pub time: Duration,
    /// Track entries in the header. The header changes with each new one.
    pub entries: usize,
    /// The file format, by the tracks so far.
    pub container: Container,
}

/// The content of a finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSummary {
    /// The file format. None if no frame was written: the file is empty.
    pub container: Option<Container>,
    /// The media duration, as in the file's header.
    pub duration: Duration,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The track entries of the file, by number.
    pub tracks: Vec<TrackSummary>,
}

/// A track entry of a finished file. A track of the session that changed its codec has several.
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
    /// Width of the first keyframe in pixels; zero for audio.
    pub width: u32,
    /// Height of the first keyframe in pixels; zero for audio.
    pub height: u32,
    /// When its first frame is presented.
    pub start: MediaTime,
    /// When its last frame ends.
    pub end: MediaTime,
    /// Frames written.
    pub frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Payload bytes written.
    pub bytes: u64,
    /// Packets that were never received.
    pub packets_lost: u64,
}

/// Counters of a recorder. Each packet and frame that is dropped is in one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of the file so far, with those in the recorder's buffer.
    pub bytes: u64,
    /// When the newest frame in the file ends.
    pub position: MediaTime,
    /// Memory of packets and frames held back for order, in bytes.
    pub held_bytes: usize,
    /// Packets and frames of tracks that were not added. They are dropped.
    pub unknown_track: u64,
    /// Counters of each track.
    pub tracks: Vec<(TrackId, TrackStatistics)>,
}

/// Counters of one track: the sum of its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackStatistics {
    /// Packets received, with those that are dropped; for pushed audio frames.
    pub packets: u64,
    /// Packets dropped as they were received before.
    pub duplicates: u64,
    /// Packets dropped as their hole was given up before.
    pub late: u64,
    /// Packets that were never received. A late one is counted as lost until it arrives.
    pub lost: u64,
    /// Packets dropped as their sequence numbers were more than 3,000 from the others, and no packet continued from
    /// them.
    pub out_of_sequence: u64,
    /// Packets and pictures dropped as they break the rules of their payload format.
    pub malformed: u64,
    /// Packets dropped as their payload type is not among the track's formats.
    pub unknown_payload_type: u64,
    /// Packets dropped as the track has eight other simulcast layers.
    pub excess_layers: u64,
    /// Frames written.
    pub frames: u64,
    /// Frames dropped as they are incomplete, or as an earlier frame that they need is missing.
    pub frames_dropped: u64,
    /// Frames dropped as the file's header has no room for the track's entry.
    pub frames_without_entry: u64,
    /// The layer that is written.
    pub layer: LayerId,
    /// Width of the newest keyframe in pixels; zero for audio.
    pub width: u32,
    /// Height of the newest keyframe in pixels; zero for audio.
    pub height: u32,
    /// The codec that is written. None until the first frame.
    pub codec: Option<Codec>,
    /// The A/V offset in nanoseconds: how much later its media arrives than media captured at the same instant by the
    /// session's first audio track, or without audio by its first track. Negative: earlier. Recordings do not have this
    /// offset, as media is placed by sender reports. Smoothed over some 16 frames. None until frames of both tracks have
    /// followed a sender report, or if their senders' clocks differ.
    pub av_offset: Option<i64>,
}
