//! The beginning of a file up to the first cluster, and the positions of its parts that are patched later.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    ebml::{UNKNOWN_SIZE, id, put, put_id, put_master, put_uint, put_void, size8},
    tracks::TrackEntry,
};
use crate::{Container, time::nanos};

/// Bytes reserved for Tracks and the Void after it. Tracks that join later get their entries in the Void.
pub(super) const TRACKS_REGION: usize = 8 << 10;
/// Bytes reserved for SeekHead, with three entries of at most 21 bytes, and the Void after it.
pub(super) const SEEK_HEAD_REGION: usize = 96;
/// Bytes of the Duration element: id, size, and a float of eight bytes.
const DURATION_ELEMENT: usize = 11;
/// 2001-01-01, the zero of DateUTC, from the Unix epoch.
const MATROSKA_EPOCH: Duration = Duration::from_secs(978_307_200);

/// Byte offsets in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub doc_type: u64,
    pub segment_size: u64,
    /// The segment's first byte of data. Positions in SeekHead and Cues are relative to it.
    pub segment: u64,
    pub seek_head: u64,
    pub info: u64,
    pub duration: u64,
    pub tracks: u64,
    /// The end of the header, where the first cluster begins.
    pub end: u64,
}

/// Writes everything before the first cluster. `date` is the wall clock at the recording's origin.
pub(super) fn put_header(
    out: &mut Vec<u8>,
    container: Container,
    date: SystemTime,
    app: &str,
    tracks: &[TrackEntry],
) -> Layout {
    let mut ebml = Vec::new();
    put_uint(&mut ebml, id::EBML_VERSION, 1);
    put_uint(&mut ebml, id::EBML_READ_VERSION, 1);
    put_uint(&mut ebml, id::EBML_MAX_ID_LENGTH, 4);
    put_uint(&mut ebml, id::EBML_MAX_SIZE_LENGTH, 8);
    put_uint(&mut ebml, id::DOC_TYPE_VERSION, 4);
    put_uint(&mut ebml, id::DOC_TYPE_READ_VERSION, 2);
    let doc_type_within = ebml.len();
    ebml.extend(doc_type(container));
    put(out, id::EBML, &ebml);
    let doc_type = (out.len() - ebml.len() + doc_type_within) as u64;

    put_id(out, id::SEGMENT);
    let segment_size = out.len() as u64;
    out.extend(UNKNOWN_SIZE);
    let segment = out.len() as u64;
    let info = segment + SEEK_HEAD_REGION as u64;
    let (info_bytes, duration_within) = info_element(date, app);
    let tracks_at = info + info_bytes.len() as u64;
    let mut layout = Layout {
        doc_type,
        segment_size,
        segment,
        seek_head: segment,
        info,
        duration: info + duration_within,
        tracks: tracks_at,
        end: 0,
    };
    out.extend(seek_head(&layout, None));
    out.extend(info_bytes);
    out.extend(tracks_region(tracks).unwrap_or_default());
    layout.end = out.len() as u64;
    layout
}

/// DocType. A Void follows the shorter name, so that one can be written over the other.
pub(super) fn doc_type(container: Container) -> Vec<u8> {
    let mut out = Vec::with_capacity(11);
    match container {
        Container::Webm => {
            put(&mut out, id::DOC_TYPE, b"webm");
            put_void(&mut out, b"matroska".len() - b"webm".len());
        }
        Container::Matroska => put(&mut out, id::DOC_TYPE, b"matroska"),
    }
    out
}

/// SeekHead and its Void. `cues` is the offset of Cues in the file.
pub(super) fn seek_head(layout: &Layout, cues: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEEK_HEAD_REGION);
    put_master(&mut out, id::SEEK_HEAD, |head| {
        let entries = [(id::INFO, Some(layout.info)), (id::TRACKS, Some(layout.tracks)), (id::CUES, cues)];
        for (id, at) in entries {
            let Some(at) = at else { continue };
            put_master(head, id::SEEK, |seek| {
                put(seek, id::SEEK_ID, &id.to_be_bytes());
                put_uint(seek, id::SEEK_POSITION, at.saturating_sub(layout.segment));
            });
        }
    });
    let rest = SEEK_HEAD_REGION.saturating_sub(out.len());
    put_void(&mut out, rest);
    out
}

/// Tracks and its Void. None if the entries do not fit.
pub(super) fn tracks_region(tracks: &[TrackEntry]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(TRACKS_REGION);
    put_master(&mut out, id::TRACKS, |content| tracks.iter().for_each(|track| track.put(content)));
    let rest = TRACKS_REGION.checked_sub(out.len())?;
    if rest == 1 {
        return None;
    }
    put_void(&mut out, rest);
    Some(out)
}

/// Duration, in as many bytes as the Void that it replaces.
pub(super) fn duration(milliseconds: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(DURATION_ELEMENT);
    super::ebml::put_float(&mut out, id::DURATION, milliseconds);
    out
}

/// The segment's size, which replaces [`UNKNOWN_SIZE`].
pub(super) fn segment_size(layout: &Layout, file_bytes: u64) -> [u8; 8] {
    size8(file_bytes.saturating_sub(layout.segment))
}

fn info_element(date: SystemTime, app: &str) -> (Vec<u8>, u64) {
    let mut info = Vec::new();
    put_uint(&mut info, id::TIMESTAMP_SCALE, 1_000_000);
    put(&mut info, id::MUXING_APP, b"webrtc-recorder");
    put(&mut info, id::WRITING_APP, app.as_bytes());
    put(&mut info, id::DATE_UTC, &matroska_date(date).to_be_bytes());
    let duration_within = info.len();
    put_void(&mut info, DURATION_ELEMENT);
    let mut out = Vec::new();
    put(&mut out, id::INFO, &info);
    let at = out.len() - info.len() + duration_within;
    (out, at as u64)
}

fn matroska_date(date: SystemTime) -> i64 {
    match date.duration_since(UNIX_EPOCH + MATROSKA_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    }
}
