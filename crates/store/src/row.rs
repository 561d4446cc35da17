//! Rows as both databases hold them, and the nouns that they stand for.
//!
//! Names of states and codecs are text there, counts are 64-bit signed integers. Going out, every value fits or is
//! made to fit, because nothing about a recording may keep it from being sealed; coming in, every value is checked.

use std::{borrow::Cow, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use model::{Job, NodeId, Progress, Recording, RecordingId, Rendition, TenantId, Track};
use uuid::{Uuid, fmt::Hyphenated};

use crate::{RecordingFilter, StoreError, Upload, UploadPart, UploadStatus};

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
    /// `Corrupt` where a column holds what this version does not know.
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
    /// `Corrupt` where a column holds what this version does not know.
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

/// An id that may be missing, made of what either database hands over.
#[derive(Debug, Clone, Copy)]
pub struct MaybeId(pub Option<Uuid>);

impl From<Option<Uuid>> for MaybeId {
    fn from(id: Option<Uuid>) -> Self {
        Self(id)
    }
}

impl From<Option<Hyphenated>> for MaybeId {
    fn from(id: Option<Hyphenated>) -> Self {
        Self(id.map(Hyphenated::into_uuid))
    }
}

/// The columns of `jobs` that make a [`Job`].
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `jobs`, see the migrations")]
pub struct JobRow {
    pub id: Uuid,
    pub recording: Uuid,
    pub tenant: String,
    pub rendition: MaybeId,
    pub kind: String,
    pub state: String,
    pub node: Option<String>,
    pub attempts: i64,
    pub run_at: DateTime<Utc>,
    pub error: Option<String>,
    pub fraction: Option<f64>,
    pub speed: Option<f64>,
    pub remaining_ns: Option<i64>,
    pub created_at: DateTime<Utc>,
}

impl JobRow {
    /// The job.
    ///
    /// # Errors
    /// `Corrupt` where a column holds what this version does not know.
    pub fn read(self) -> Result<Job, StoreError> {
        let remaining = self.remaining_ns.map(duration).transpose()?;
        let speed = self.speed.unwrap_or_default();
        Ok(Job {
            id: self.id.into(),
            recording: self.recording.into(),
            tenant: known::<TenantId>(&self.tenant)?,
            rendition: self.rendition.0.map(Into::into),
            kind: known(&self.kind)?,
            state: known(&self.state)?,
            node: self.node.as_deref().map(known::<NodeId>).transpose()?,
            attempts: unsigned(self.attempts, "attempts")?,
            run_at: self.run_at,
            error: self.error,
            progress: self.fraction.map(|fraction| Progress { fraction, speed, remaining }),
            created_at: self.created_at,
        })
    }
}

/// A row of `renditions`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `renditions`, see the migrations")]
pub struct RenditionRow {
    pub id: Uuid,
    pub recording: Uuid,
    pub tenant: String,
    pub kind: String,
    pub parameters: String,
    pub state: String,
    pub job: Uuid,
    pub object_key: String,
    pub content_type: String,
    pub bytes: i64,
    pub duration_ns: i64,
    pub width: i64,
    pub height: i64,
    pub sha256: Option<String>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ready_at: Option<DateTime<Utc>>,
}

impl RenditionRow {
    /// The rendition.
    ///
    /// # Errors
    /// `Corrupt` where a column holds what this version does not know.
    pub fn read(self) -> Result<Rendition, StoreError> {
        Ok(Rendition {
            id: self.id.into(),
            recording: self.recording.into(),
            tenant: known(&self.tenant)?,
            kind: self.kind,
            parameters: self.parameters,
            state: known(&self.state)?,
            job: self.job.into(),
            object_key: self.object_key,
            content_type: self.content_type,
            bytes: unsigned(self.bytes, "bytes")?,
            duration: duration(self.duration_ns)?,
            width: unsigned(self.width, "width")?,
            height: unsigned(self.height, "height")?,
            sha256: self.sha256,
            error: self.error,
            created_at: self.created_at,
            ready_at: self.ready_at,
        })
    }
}

/// A row of `uploads`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `uploads`, see the migrations")]
pub struct UploadRow {
    pub recording: Uuid,
    pub node: String,
    pub object_key: String,
    pub upload_id: String,
    pub container: String,
    pub rescued: bool,
}

impl UploadRow {
    /// The upload.
    ///
    /// # Errors
    /// `Corrupt` where a column holds what this version does not know.
    pub fn read(self) -> Result<Upload, StoreError> {
        Ok(Upload {
            recording: self.recording.into(),
            node: known(&self.node)?,
            key: self.object_key,
            id: self.upload_id,
            container: known(&self.container)?,
            rescued: self.rescued,
        })
    }
}

/// A row of `uploads` beside what its recording's says.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `uploads` and of `recordings`, see the migrations")]
pub struct UploadStatusRow {
    pub recording: Uuid,
    pub node: String,
    pub object_key: String,
    pub upload_id: String,
    pub container: String,
    pub rescued: bool,
    pub tenant: String,
    pub state: String,
    pub recording_key: Option<String>,
    pub sealed: bool,
    pub bytes: i64,
}

impl UploadStatusRow {
    /// Upload and recording.
    ///
    /// # Errors
    /// `Corrupt` where a column holds what this version does not know.
    pub fn read(self) -> Result<UploadStatus, StoreError> {
        let (tenant, state) = (known(&self.tenant)?, known(&self.state)?);
        let (object_key, sealed) = (self.recording_key, self.sealed);
        let bytes = unsigned(self.bytes, "bytes")?;
        let upload = UploadRow {
            recording: self.recording,
            node: self.node,
            object_key: self.object_key,
            upload_id: self.upload_id,
            container: self.container,
            rescued: self.rescued,
        };
        Ok(UploadStatus { upload: upload.read()?, tenant, state, object_key, sealed, bytes })
    }
}

/// A row of `upload_parts`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `upload_parts`, see the migrations")]
pub struct UploadPartRow {
    pub number: i64,
    pub first_byte: i64,
    pub bytes: i64,
    pub md5: Vec<u8>,
    pub sha256: Option<Vec<u8>>,
    pub etag: String,
    pub provisional: bool,
    pub run: Uuid,
}

impl From<&UploadPart> for UploadPartRow {
    fn from(part: &UploadPart) -> Self {
        Self {
            number: part.number.into(),
            first_byte: count(part.offset),
            bytes: count(part.bytes),
            md5: part.md5.to_vec(),
            sha256: part.sha256.map(|sum| sum.to_vec()),
            etag: text(&part.etag).into_owned(),
            provisional: part.provisional,
            run: part.run,
        }
    }
}

impl UploadPartRow {
    /// The part.
    ///
    /// # Errors
    /// `Corrupt` where a column holds what this version does not know.
    pub fn read(self) -> Result<UploadPart, StoreError> {
        Ok(UploadPart {
            number: unsigned(self.number, "part number")?,
            offset: unsigned(self.first_byte, "first byte")?,
            bytes: unsigned(self.bytes, "bytes")?,
            md5: sum(self.md5)?,
            sha256: self.sha256.map(sum).transpose()?,
            etag: self.etag,
            provisional: self.provisional,
            run: self.run,
        })
    }
}

fn sum<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|other: Vec<u8>| StoreError::Corrupt(format!("a sum of {} bytes", other.len())))
}

/// The recordings of `rows`, in their order, each with its tracks out of `tracks` (sorted by number).
///
/// # Errors
/// `Corrupt`.
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

/// The place in a list, newest first, that what is wanted comes after: the end of the page before, or the filter's
/// `started_until`, whichever is older. One bound instead of two, so that one search of an index serves both.
#[must_use]
pub fn after(
    filter: &RecordingFilter,
    page: Option<(DateTime<Utc>, RecordingId)>,
) -> Option<(DateTime<Utc>, Uuid)> {
    let page = page.map(|(started_at, id)| (started_at, id.as_uuid()));
    // No id is smaller than the nil UUID: all that began at this very time are left out.
    let until = filter.started_until.map(|until| (until, Uuid::nil()));
    [page, until].into_iter().flatten().min()
}

/// Text as a database takes it. Postgres refuses U+0000 in text; a name that holds one must not keep a recording
/// from being sealed, so it becomes U+FFFD.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// A name out of a column.
///
/// # Errors
/// `Corrupt` if it stands for nothing known.
pub fn known<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Result<T, StoreError> {
    name.parse().map_err(|unknown: T::Err| StoreError::Corrupt(unknown.to_string()))
}

/// A number out of a column.
///
/// # Errors
/// `Corrupt` if it is negative or too large.
pub fn unsigned<T: TryFrom<i64>>(value: i64, what: &str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what}: {value}")))
}

/// A count as a database takes it. 2^63 bytes are more than any disk holds: beyond it a counter is wrong, and must
/// not keep a recording from being sealed.
#[must_use]
pub fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nanoseconds; 292 years are the most.
#[must_use]
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(nanoseconds: i64) -> Result<Duration, StoreError> {
    unsigned(nanoseconds, "nanoseconds").map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use model::RecordingState;

    use super::*;

    #[test]
    fn a_state_of_a_later_version_is_an_unreadable_row() {
        let error = known::<RecordingState>("ARCHIVED").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the database holds an unreadable row: unknown recording state: "ARCHIVED""#
        );
    }

    #[test]
    fn a_negative_count_is_an_unreadable_row() {
        assert!(matches!(unsigned::<u64>(-1, "bytes"), Err(StoreError::Corrupt(_))));
        assert!(matches!(unsigned::<u32>(1 << 32, "width"), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_page_and_a_time_limit_together_are_the_older_of_both() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (old, new, id) = (time("2026-01-01T00:00:00Z"), time("2026-01-02T00:00:00Z"), RecordingId::new());
        let until = |at| RecordingFilter { started_until: Some(at), ..RecordingFilter::default() };
        assert_eq!(after(&RecordingFilter::default(), None), None);
        assert_eq!(after(&until(old), None), Some((old, Uuid::nil())));
        assert_eq!(after(&until(old), Some((new, id))), Some((old, Uuid::nil())));
        assert_eq!(after(&until(new), Some((old, id))), Some((old, id.as_uuid())));
    }

    #[test]
    fn text_without_a_nul_is_not_copied() {
        assert!(matches!(text("Планёрка"), Cow::Borrowed("Планёрка")));
        assert_eq!(text("a\0b"), "a\u{FFFD}b");
    }
}
