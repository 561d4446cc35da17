//! A recording and its tracks.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{NodeId, RecordingId, TenantId};

/// A name that stands for no value of its kind, found in a database, a manifest or a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}: {name:?}")]
pub struct UnknownName {
    /// The kind of value.
    pub what: &'static str,
    /// The text that was found.
    pub name: String,
}

macro_rules! named {
    ($(#[$doc:meta])* $kind:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $kind { $($(#[$vdoc])* #[serde(rename = $name)] $variant),+ }

        impl $kind {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name by which it is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $kind {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, $crate::UnknownName> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownName { what: $what, name: name.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What the recording is for, as the caller said.
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
        /// A screen recording: what a caller means who names no channel.
        ScreenRecording = "SCREEN_RECORDING",
    }
}
named! {
    /// Where the media came from.
    Source, "source" {
        /// A WebRTC peer.
        Webrtc = "WEBRTC",
        /// A Discord voice channel.
        Discord = "DISCORD",
        /// Audio pushed by another service.
        Audio = "AUDIO",
    }
}
named! {
    /// How far a recording has come.
    RecordingState, "recording state" {
        /// Media is being received.
        Recording = "RECORDING",
        /// The session lives, its media is not kept for now.
        Paused = "PAUSED",
        /// Sealed on the node's disk; its jobs are under way.
        Processing = "PROCESSING",
        /// In the object store, verified.
        Available = "AVAILABLE",
        /// A job gave up; a person has to look. The media is kept.
        Parked = "PARKED",
        /// Removed on request.
        Deleted = "DELETED",
    }
}
named! {
    /// Why a session ended.
    EndReason, "end reason" {
        /// `StopP2PVideo`, or its like.
        Requested = "REQUESTED",
        /// The peer said goodbye (DTLS close_notify).
        PeerClosed = "PEER_CLOSED",
        /// The peer never connected within the time allowed.
        ConnectTimeout = "CONNECT_TIMEOUT",
        /// The peer was connected and fell silent for longer than the grace time.
        IceFailed = "ICE_FAILED",
        /// The DTLS handshake or the transport broke.
        TransportFailed = "TRANSPORT_FAILED",
        /// The longest time allowed for a session.
        TimeLimit = "TIME_LIMIT",
        /// The largest size allowed for a recording.
        SizeLimit = "SIZE_LIMIT",
        /// No room on the spool's disk.
        DiskFull = "DISK_FULL",
        /// The spool's disk took no data for too long, or failed.
        DiskStalled = "DISK_STALLED",
        /// The recorder was asked to shut down.
        Shutdown = "SHUTDOWN",
        /// What the source sent could not be used; what came before it is kept.
        InvalidMedia = "INVALID_MEDIA",
        /// The recorder died; the recording was sealed at the next start.
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
    /// What a source of audio asked to have made of its recording.
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
    /// The file format.
    Container, "container" {
        /// WebM: VP8, VP9 or AV1, and Opus.
        Webm = "webm",
        /// Matroska: what WebM does not allow.
        Matroska = "mkv",
    }
}

impl RecordingState {
    /// That of a live session.
    #[must_use]
    pub fn of_live(paused: bool) -> Self {
        if paused { Self::Paused } else { Self::Recording }
    }
}

impl Container {
    /// The ending of a file's name, without the dot.
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

/// A recording: one row, one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Its id, which is also the id of its session.
    pub id: RecordingId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The name that the caller gave, or the id's text.
    pub name: String,
    /// The caller's correlation id (`uuid` in the request); empty where none was given. Any text.
    pub correlation_id: String,
    /// What it is for.
    pub channel: Channel,
    /// Where the media came from.
    pub source: Source,
    /// The node that received it.
    pub node: NodeId,
    /// How far it has come.
    pub state: RecordingState,
    /// When the session began.
    pub started_at: DateTime<Utc>,
    /// When it was sealed; none while it records.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended; none while it records.
    pub end_reason: Option<EndReason>,
    /// The file format; none while it records, and none if no media came.
    pub container: Option<Container>,
    /// Where the file is or will be in the object store; none while it records, and none if no media came.
    pub object_key: Option<String>,
    /// The media's duration; zero while it records.
    pub duration: Duration,
    /// The file's size in bytes; zero while it records.
    pub bytes: u64,
    /// SHA-256 of the sealed file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// What went wrong, for a person; none where all is well. A session that received no media says so here.
    pub error: Option<String>,
    /// Its tracks, by number. Empty while it records.
    pub tracks: Vec<Track>,
    /// What its source asked to have made of it. Whoever seals it makes the renditions; the row does not keep it.
    #[serde(default)]
    pub results: Vec<AudioResult>,
}

impl Recording {
    /// The error of a recording of which nothing is kept, as no media came. One whose media could not be read has another.
    pub const NO_MEDIA: &str = "no media was received";

    /// The object key of the recording's own file: `<base path>/<yyyy>/<mm>/<dd>/<id>.<format>`, in UTC.
    ///
    /// Only the id and the time go into it: a name that a caller chose never becomes a path.
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
    /// The SDP `mid` that it came from.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its codec.
    pub codec: Codec,
    /// Picture width in pixels; zero for audio.
    pub width: u32,
    /// Picture height in pixels; zero for audio.
    pub height: u32,
    /// When its first frame is presented, from the recording's origin.
    pub start: Duration,
    /// From its first frame to the end of its last.
    pub duration: Duration,
    /// Frames written (Opus packets for audio).
    pub frames: u64,
    /// Payload bytes written.
    pub bytes: u64,
    /// Packets that never came, not even by resending.
    pub packets_lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_key_is_made_of_the_date_and_the_id_alone() {
        let id: RecordingId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let at = "2026-03-04T23:59:59Z".parse().unwrap();
        let key = Recording::object_key("/media/", id, at, Container::Webm);
        assert_eq!(key, "media/2026/03/04/01890a5d-ac96-774b-bcce-b302099a8057.webm");
        let key = Recording::object_key("", id, at, Container::Matroska);
        assert_eq!(key, "2026/03/04/01890a5d-ac96-774b-bcce-b302099a8057.mkv");
    }

    #[test]
    fn every_name_reads_back() {
        for reason in EndReason::ALL {
            assert_eq!(reason.as_str().parse::<EndReason>().unwrap(), *reason);
        }
        assert!("NONE".parse::<EndReason>().is_err());
    }
}
