//! The counters of a live session.

use model::SessionId;

/// The counters of one session.
#[derive(Debug)]
pub(crate) struct SessionStatistics {
    pub(crate) id: SessionId,
    pub(crate) paused: bool,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    pub(crate) tracks: Vec<TrackStatus>,
    pub(crate) drops: SessionDrops,
}

/// The counters of one track of a live session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackStatus {
    /// The track's name: its mid, or the name that the source gave it.
    pub name: String,
    /// What the recorder made of its packets.
    pub recorded: media::TrackStatistics,
    /// What was received. A pushed track counts bytes only.
    pub received: peer::TrackStatistics,
}

/// What a session received and dropped, beyond the counters of its tracks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionDrops {
    /// Packets of tracks that the recorder does not know.
    pub unknown_track: u64,
    /// Packets of a pushed source that found its queue full.
    pub queue_full: u64,
    /// Messages of data channels: they are not recorded.
    pub data_messages: u64,
    /// Datagrams and packets that the peer dropped, of all tracks and of none.
    pub received: peer::Drops,
}
