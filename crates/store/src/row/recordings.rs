//! Rows of `recordings` and `tracks`.

use chrono::{DateTime, Utc};
use model::{Recording, RecordingId, Track};
use uuid::Uuid;

use super::{count, duration, known, nanoseconds, text, unsigned};
use crate::{RecordingFilter, StoreError};

/// A row of `recordings`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `recordings`, see the migrations")]
pub struct RecordingRow {
    pub id: Uuid,
    pub tenant: String,
    pub name: String,
    pub correlation_id: String,
    pub channel: String,
    pub source: String,
    pub node: String,
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub end_reason: Option<String>,
    pub container: Option<String>,
    pub object_key: Option<String>,
    pub duration_ns: i64,
    pub bytes: i64,
    pub sha256: Option<String>,
    pub error: Option<String>,
}

impl From<&Recording> for RecordingRow {
    fn from(recording: &Recording) -> Self {
        Self {
            id: recording.id.as_uuid(),
            tenant: recording.tenant.to_string(),
            name: text(&recording.name).into_owned(),
            correlation_id: text(&recording.correlation_id).into_owned(),
            channel: recording.channel.to_string(),
            source: recording.source.to_string(),
            node: recording.node.to_string(),
            state: recording.state.to_string(),
            started_at: recording.started_at,
            ended_at: recording.ended_at,
            end_reason: recording.end_reason.map(|reason| reason.to_string()),
            container: recording.container.map(|container| container.to_string()),
            object_key: recording.object_key.as_deref().map(|key| text(key).into_owned()),
            duration_ns: nanoseconds(recording.duration),
            bytes: count(recording.bytes),
            sha256: recording.sha256.as_deref().map(|sum| text(sum).into_owned()),
            error: recording.error.as_deref().map(|error| text(error).into_owned()),
        }
    }
}

impl RecordingRow {
    /// The recording, with these tracks.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self, tracks: Vec<Track>) -> Result<Recording, StoreError> {
        Ok(Recording {
            id: self.id.into(),
            tenant: known(&self.tenant)?,
            name: self.name,
            correlation_id: self.correlation_id,
            channel: known(&self.channel)?,
            source: known(&self.source)?,
            node: known(&self.node)?,
            state: known(&self.state)?,
            started_at: self.started_at,
            ended_at: self.ended_at,
            end_reason: self.end_reason.as_deref().map(known).transpose()?,
            container: self.container.as_deref().map(known).transpose()?,
            object_key: self.object_key,
            duration: duration(self.duration_ns)?,
            bytes: unsigned(self.bytes, "bytes")?,
            sha256: self.sha256,
            error: self.error,
            tracks,
            results: Vec::new(),
        })
    }
}

/// A row of `tracks`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `tracks`, see the migrations")]
pub struct TrackRow {
    pub recording: Uuid,
    pub number: i64,
    pub mid: String,
    pub kind: String,
    pub codec: String,
    pub width: i64,
    pub height: i64,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub frames: i64,
    pub bytes: i64,
    pub packets_lost: i64,
}

impl TrackRow {
    /// The row of the recording's track.
    #[must_use]
    pub fn new(recording: RecordingId, track: &Track) -> Self {
        Self {
            recording: recording.as_uuid(),
            number: track.number.into(),
            mid: text(&track.mid).into_owned(),
            kind: track.kind.to_string(),
            codec: track.codec.to_string(),
            width: track.width.into(),
            height: track.height.into(),
            start_ns: nanoseconds(track.start),
            duration_ns: nanoseconds(track.duration),
            frames: count(track.frames),
            bytes: count(track.bytes),
            packets_lost: count(track.packets_lost),
        }
    }

    /// The track.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<Track, StoreError> {
        Ok(Track {
            number: unsigned(self.number, "track number")?,
            mid: self.mid,
            kind: known(&self.kind)?,
            codec: known(&self.codec)?,
            width: unsigned(self.width, "width")?,
            height: unsigned(self.height, "height")?,
            start: duration(self.start_ns)?,
            duration: duration(self.duration_ns)?,
            frames: unsigned(self.frames, "frames")?,
            bytes: unsigned(self.bytes, "bytes")?,
            packets_lost: unsigned(self.packets_lost, "packets lost")?,
        })
    }
}

/// The recordings of `rows` in their order, each with its tracks. `tracks` must be sorted by number.
///
/// # Errors
/// `Corrupt` if a column has a value that this version does not know.
pub fn with_tracks(rows: Vec<RecordingRow>, tracks: Vec<TrackRow>) -> Result<Vec<Recording>, StoreError> {
    let mut tracks_of = std::collections::HashMap::<Uuid, Vec<Track>>::new();
    for track in tracks {
        tracks_of.entry(track.recording).or_default().push(track.read()?);
    }
    rows.into_iter()
        .map(|row| {
            let tracks = tracks_of.remove(&row.id).unwrap_or_default();
            row.read(tracks)
        })
        .collect()
}

/// The position in a list, newest first, after which a page begins: the end of the page before, or the filter's
/// `started_until`, whichever is older. With one bound instead of two, one search of an index is enough.
#[must_use]
pub fn after(
    filter: &RecordingFilter,
    page: Option<(DateTime<Utc>, RecordingId)>,
) -> Option<(DateTime<Utc>, Uuid)> {
    let page = page.map(|(started_at, id)| (started_at, id.as_uuid()));
    // No id is smaller than the nil UUID: recordings that began at exactly this time are left out.
    let until = filter.started_until.map(|until| (until, Uuid::nil()));
    [page, until].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_after_the_older_of_its_two_bounds() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (old, new, id) = (time("2026-01-01T00:00:00Z"), time("2026-01-02T00:00:00Z"), RecordingId::new());
        let until = |at| RecordingFilter { started_until: Some(at), ..RecordingFilter::default() };
        assert_eq!(after(&RecordingFilter::default(), None), None);
        assert_eq!(after(&until(old), None), Some((old, Uuid::nil())));
        assert_eq!(after(&until(old), Some((new, id))), Some((old, Uuid::nil())));
        assert_eq!(after(&until(new), Some((old, id))), Some((old, id.as_uuid())));
    }
}
