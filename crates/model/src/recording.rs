//! A recording and its tracks.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{NodeId, RecordingId, TenantId, named::named};

named! {
    /// The purpose of a recording, set by the caller.
    Channel, "channel" {
        /// A chat.
        Chat = "CHAT",
        /// A mail.
        Mail = "MAIL",
        /// A call.
        Call = "CALL",
        /// A log.
        Log = "LOG",
        /// Media.
        Media = "MEDIA",
        /// The knowledge base.
        Knowledgebase = "KNOWLEDGEBASE",
        /// Cases.
        Cases = "CASES",
        /// A screen recording; the default.
        ScreenRecording = "SCREEN_RECORDING",
    }
}
named! {
    /// What sends the media.
    Source, "source" {
        /// A WebRTC peer.
        Webrtc = "WEBRTC",
        /// A Discord voice channel.
        Discord = "DISCORD",
        /// Audio that another service pushes.
        Audio = "AUDIO",
    }
}
named! {
    /// The state of a recording.
    RecordingState, "recording state" {
        /// The session is live, and its media is recorded.
        Recording = "RECORDING",
        /// The session is live, and its media is discarded.
        Paused = "PAUSED",
        /// Finalized on the node's disk. Its jobs are not done.
        Processing = "PROCESSING",
        /// Stored in the object store and verified.
        Available = "AVAILABLE",
        /// A job is parked, or the recording's node is lost, or no media arrived. The media, if any, is retained for a person.
        Parked = "PARKED",
        /// Deleted by a caller, or by retention.
        Deleted = "DELETED",
    }
}
named! {
    /// Why a session ended.
    EndReason, "end reason" {
        /// A caller stopped it, for example with `StopP2PVideo`.
        Requested = "REQUESTED",
        /// The peer closed the connection (DTLS close_notify, RFC 5246 §7.2.1).
        PeerClosed = "PEER_CLOSED",
        /// The peer did not connect in time.
        ConnectTimeout = "CONNECT_TIMEOUT",
        /// The peer was connected and then sent nothing for longer than the configured time.
        IceFailed = "ICE_FAILED",
        /// The DTLS handshake or the transport failed.
        TransportFailed = "TRANSPORT_FAILED",
        /// The session reached the maximum duration.
        TimeLimit = "TIME_LIMIT",
        /// The file reached the maximum size.
        SizeLimit = "SIZE_LIMIT",
        /// The spool's disk had no space left.
        DiskFull = "DISK_FULL",
        /// The spool's disk failed, or accepted no data for too long.
        DiskStalled = "DISK_STALLED",
        /// The recorder shut down.
        Shutdown = "SHUTDOWN",
        /// The source sent media that can't be recorded. The media before it is in the file.
        InvalidMedia = "INVALID_MEDIA",
        /// The recorder crashed or was lost. The recording was finalized at the next start, or completed by another node.
        Crash = "CRASH",
    }
}
named! {
    /// Audio or video.
    MediaKind, "media kind" {
        /// Audio.
        Audio = "audio",
        /// Video.
        Video = "video",
    }
}
named! {
    /// A codec that can be recorded.
    Codec, "codec" {
        /// VP8, RFC 7741.
        Vp8 = "VP8",
        /// VP9, RFC 9628.
        Vp9 = "VP9",
        /// AV1.
        Av1 = "AV1",
        /// H.264, RFC 6184.
        H264 = "H264",
        /// H.265, RFC 7798.
        H265 = "H265",
        /// Opus, RFC 7587.
        Opus = "OPUS",
        /// G.711 µ-law.
        Pcmu = "PCMU",
        /// G.711 A-law.
        Pcma = "PCMA",
        /// G.722.
        G722 = "G722",
        /// Signed 16-bit little-endian samples.
        Pcm = "PCM",
    }
}
named! {
    /// A file that a source of audio requests of its recording.
    AudioResult, "audio result" {
        /// A WAV file of 16-bit PCM.
        Wav = "WAV",
        /// An Ogg file of Opus.
        Opus = "OPUS",
        /// An MP3 file.
        Mp3 = "MP3",
    }
}
named! {
    /// The file format of a recording.
    Container, "container" {
        /// WebM: VP8, VP9 or AV1, and Opus.
        Webm = "webm",
        /// Matroska: for all other codecs.
        Matroska = "mkv",
    }
}

impl RecordingState {
    /// The state of a live session.
    #[must_use]
    pub fn of_live(paused: bool) -> Self {
        if paused { Self::Paused } else { Self::Recording }
    }
}

impl Container {
    /// The extension of a file's name, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        self.as_str()
    }

    /// The media type for HTTP and for the object store.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Webm => "video/webm",
            Self::Matroska => "video/x-matroska",
        }
    }
}

/// A recording: one row and one file, the result of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Its id; its session has the same UUID.
    pub id: RecordingId,
    /// Its owner.
    pub tenant: TenantId,
    /// The name that the caller gave; by default the id as text.
    pub name: String,
    /// The caller's correlation id (`uuid` in the request): any text, empty if none was given.
    pub correlation_id: String,
    /// Its purpose.
    pub channel: Channel,
    /// What sent the media.
    pub source: Source,
    /// The node that received it: its owner.
    pub node: NodeId,
    /// Its state.
    pub state: RecordingState,
    /// When the session began.
    pub started_at: DateTime<Utc>,
    /// When it was finalized; none while its session is live.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why its session ended; none while it is live.
    pub end_reason: Option<EndReason>,
    /// The file format; none while its session is live, and if no media arrived.
    pub container: Option<Container>,
    /// The object key of the file; none while its session is live, and if no media arrived.
    pub object_key: Option<String>,
    /// The media duration; zero while its session is live.
    pub duration: Duration,
    /// The file's size in bytes; zero while its session is live.
    pub bytes: u64,
    /// SHA-256 of the finished file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// What went wrong, for a person; none without an error. For a session without media it is [`NO_MEDIA`](Self::NO_MEDIA).
    pub error: Option<String>,
    /// Its tracks, by number. Empty while its session is live.
    pub tracks: Vec<Track>,
    /// The files that its source requests. Their renditions are inserted when the recording is finalized; the database
    /// does not store this field, a manifest does.
    #[serde(default)]
    pub results: Vec<AudioResult>,
}

impl Recording {
    /// The error of a recording without a file, because no media arrived. Retention deletes such recordings.
    pub const NO_MEDIA: &str = "no media was received";

    /// The object key of the recording's file: `<base path>/<yyyy>/<mm>/<dd>/<id>.<format>`, in UTC.
    ///
    /// It contains only the id and the date: a name that a caller chose never becomes a path.
    #[must_use]
    pub fn object_key(
        base_path: &str,
        id: RecordingId,
        started_at: DateTime<Utc>,
        container: Container,
    ) -> String {
        let base = base_path.trim_matches('/');
        let slash = if base.is_empty() { "" } else { "/" };
        format!("{base}{slash}{}/{id}.{}", started_at.format("%Y/%m/%d"), container.extension())
    }
}

/// One track of a recording, as it is in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The Matroska track number, from 1.
    pub number: u32,
    /// The `mid` of its SDP media section (RFC 8843).
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its codec.
    pub codec: Codec,
    /// Picture width in pixels; zero for audio.
    pub width: u32,
    /// Picture height in pixels; zero for audio.
    pub height: u32,
    /// When its first frame is presented, on the recording's timeline.
    pub start: Duration,
    /// The time from its first frame to the end of its last.
    pub duration: Duration,
    /// Number of frames in the file.
    pub frames: u64,
    /// Bytes of all frames.
    pub bytes: u64,
    /// Packets that were lost for good: resends did not arrive either.
    pub packets_lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_key_contains_only_the_date_and_the_id() {
        let id: RecordingId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let at = "2026-03-04T23:59:59Z".parse().unwrap();
        let key = Recording::object_key("/media/", id, at, Container::Webm);
        assert_eq!(key, "media/2026/03/04/01890a5d-ac96-774b-bcce-b302099a8057.webm");
        let key = Recording::object_key("", id, at, Container::Matroska);
        assert_eq!(key, "2026/03/04/01890a5d-ac96-774b-bcce-b302099a8057.mkv");
    }

    #[test]
    fn every_name_parses_to_its_value() {
        for reason in EndReason::ALL {
            assert_eq!(reason.as_str().parse::<EndReason>().unwrap(), *reason);
        }
        assert!("NONE".parse::<EndReason>().is_err());
    }
}
