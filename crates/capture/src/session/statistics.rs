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

/// What a session received and dropped, where it belongs to no track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionDrops {
    /// Packets of tracks that the recorder does not know.
    pub unknown_track: u64,
    /// Packets of a pushed source that found its queue full.
    pub queue_full: u64,
    /// Messages of data channels: they are not recorded.
    pub data_messages: u64,
}

/// What a session dropped or never received, added up over its tracks. Each field is a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DropTotals {
    pub(crate) packets_lost: u64,
    pub(crate) packets_late: u64,
    pub(crate) packets_duplicate: u64,
    pub(crate) packets_corrupt: u64,
    pub(crate) packets_unknown_track: u64,
    pub(crate) frames_dropped: u64,
}

impl SessionStatistics {
    /// The session's totals since its beginning.
    pub(crate) fn drop_totals(&self) -> DropTotals {
        let mut totals =
            DropTotals { packets_unknown_track: self.drops.unknown_track, ..DropTotals::default() };
        for TrackStatus { recorded, .. } in &self.tracks {
            totals.packets_lost += recorded.lost;
            totals.packets_late += recorded.late;
            totals.packets_duplicate += recorded.duplicates;
            totals.packets_corrupt += recorded.corrupt;
            totals.frames_dropped += recorded.frames_dropped;
        }
        totals
    }
}
