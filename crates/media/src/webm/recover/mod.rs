//! Files whose writing was cut off: what is needed to make them whole.

mod elements;
mod header;

use std::{
    io::{self, Read, Seek},
    time::Duration,
};

use bytes::Bytes;

use self::{
    elements::{Elements, Head, uint},
    header::{Declared, Header, NoHeader},
};
use super::{
    cues::{Cue, Cues},
    ebml::{id, size8},
    header as layout,
};
use crate::{
    Container, MediaKind, MediaTime, RecordingSummary, TrackSummary, depacketize::audio, time::MILLISECOND,
};

/// Sizes that are patched into clusters whose end was not noted; a player copes with those beyond.
const MAX_CLUSTER_PATCHES: usize = 1 << 16;
/// A block's timestamp stays below this, in milliseconds: a century.
const MAX_TIME: u64 = 3_200_000_000_000;
/// As in the recorder: video frames further apart, in milliseconds, have a pause between them.
const LONGEST_FRAME: i64 = 200;

/// What is to be done with a file that was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// Nothing: it was closed.
    Complete(RecordingSummary),
    /// It is to be changed as told; then it is complete.
    Repair(Repair),
    /// It ends before its first frame.
    NoMedia,
}

/// How a cut file becomes complete. In this order: truncate, append, patch, sync. Cut off in the middle of that, it is
/// a cut file again.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// Bytes that stay: up to the end of the last whole block.
    pub truncate: u64,
    /// To be appended: the index.
    pub append: Bytes,
    /// To be overwritten, by offset.
    pub patches: Vec<(u64, Bytes)>,
    /// What is in the file then.
    pub summary: RecordingSummary,
}

/// Why a file can't be recovered. It is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The file can't be read: the disk's fault, try again.
    #[error("the file can't be read: {0}")]
    Io(#[from] io::Error),
    /// The file is not one that a [`Recorder`](crate::Recorder) wrote, or its header was destroyed.
    #[error("the file does not begin as ours do")]
    Foreign,
}

/// Looks through a file for the end of what is whole in it. Any bytes may stand in it; memory stays below a few
/// megabytes whatever its size. Reads the head of each block, and skips the rest.
///
/// # Errors
/// [`RecoverError`]; the file is not to be touched then.
pub fn recover(file: impl Read + Seek) -> Result<Recovery, RecoverError> {
    let mut elements = Elements::new(file)?;
    let header = match Header::read(&mut elements)? {
        Ok(header) => header,
        Err(NoHeader::Cut) => return Ok(Recovery::NoMedia),
        Err(NoHeader::Foreign) => return Err(RecoverError::Foreign),
    };
    let mut scan = Scan::new(&header);
    scan.clusters(&mut elements)?;
    if scan.frames() == 0 {
        return Ok(Recovery::NoMedia);
    }
    let length = elements.length();
    let closed = header.segment_size.and_then(|size| size.checked_add(header.layout.segment)) == Some(length);
    // A file without a single keyframe has no index.
    let ends = scan.index_ends.or(scan.cues.is_empty().then_some(scan.whole));
    let closed = closed && ends == Some(length) && scan.open_clusters.is_empty();
    if let (true, Some(milliseconds)) = (closed, header.duration) {
        let duration = Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default();
        return Ok(Recovery::Complete(scan.summary(header.container, duration, length)));
    }
    Ok(Recovery::Repair(repair(&header, scan)))
}

fn repair(header: &Header, mut scan: Scan) -> Repair {
    let mut append = Vec::new();
    scan.cues.put(&mut append);
    let truncate = scan.whole;
    let bytes = truncate + append.len() as u64;
    let duration = scan.end().to_duration();
    let webm = header.tracks.iter().all(|track| track.codec.is_webm());
    let container = if webm { Container::Webm } else { Container::Matroska };
    let mut patches: Vec<(u64, Bytes)> = std::mem::take(&mut scan.open_clusters)
        .into_iter()
        .map(|(size_at, size)| (size_at, Bytes::copy_from_slice(&size8(size))))
        .collect();
    let place = &header.layout;
    let cues_at = (!append.is_empty()).then_some(truncate);
    if container != header.container {
        patches.push((place.doc_type, layout::doc_type(container).into()));
    }
    patches.push((place.segment_size, Bytes::copy_from_slice(&layout::segment_size(place, bytes))));
    patches.push((place.seek_head, layout::seek_head(place, cues_at).into()));
    patches.push((place.duration, layout::duration(duration.as_secs_f64() * 1_000.0).into()));
    Repair { truncate, append: append.into(), patches, summary: scan.summary(container, duration, bytes) }
}

/// A track's frames as they are found.
#[derive(Debug)]
struct Found {
    declared: Declared,
    summary: TrackSummary,
    /// Milliseconds of the last block.
    last: Option<i64>,
    /// Milliseconds that a video frame takes.
    frame: i64,
}

/// The walk through the clusters.
#[derive(Debug)]
struct Scan {
    first_cluster: u64,
    segment: u64,
    tracks: Vec<Found>,
    video_seen: bool,
    cues: Cues,
    /// The end of the last whole block.
    whole: u64,
    /// Size fields to be written, with their values.
    open_clusters: Vec<(u64, u64)>,
    /// Where the index ends, if one follows the clusters.
    index_ends: Option<u64>,
}

impl Scan {
    fn new(header: &Header) -> Self {
        let tracks: Vec<_> = header.tracks.iter().cloned().map(Found::new).collect();
        Self {
            first_cluster: header.layout.end,
            segment: header.layout.segment,
            video_seen: false,
            tracks,
            cues: Cues::default(),
            whole: header.layout.end,
            open_clusters: Vec::new(),
            index_ends: None,
        }
    }

    fn clusters<R: Read + Seek>(&mut self, elements: &mut Elements<R>) -> io::Result<()> {
        let length = elements.length();
        let mut at = self.first_cluster;
        while let Some(head) = elements.head(at, length)? {
            match head.id {
                id::CLUSTER if head.data - head.at == 12 => {}
                id::CUES => {
                    self.index_ends = head.end().filter(|end| *end <= length);
                    return Ok(());
                }
                _ => return Ok(()),
            }
            let limit = head.end().unwrap_or(length).min(length);
            let before = self.whole;
            let end = self.blocks(elements, &head, limit)?;
            let holds_blocks = self.whole > before;
            if holds_blocks
                && head.size != Some(self.whole - head.data)
                && self.open_clusters.len() < MAX_CLUSTER_PATCHES
            {
                self.open_clusters.push((head.data - 8, self.whole - head.data));
            }
            if !holds_blocks || end != self.whole || (head.size.is_some() && head.end() != Some(end)) {
                return Ok(());
            }
            at = end;
        }
        Ok(())
    }

    /// Walks through a cluster; returns where its blocks end. [`whole`](Self::whole) is that of the last good one.
    fn blocks<R: Read + Seek>(
        &mut self,
        elements: &mut Elements<R>,
        cluster: &Head,
        limit: u64,
    ) -> io::Result<u64> {
        let mut time = None;
        let mut first = true;
        let mut at = cluster.data;
        while at < limit {
            let Some(head) = elements.head(at, limit)? else { return Ok(at) };
            let Some(end) = head.end().filter(|end| *end <= limit) else { return Ok(at) };
            match head.id {
                id::TIMESTAMP => {
                    let mut bytes = [0; 8];
                    let size = usize::try_from(end - head.data).unwrap_or(0).min(8);
                    elements.peek(head.data, limit, &mut bytes[..size])?;
                    time = Some(uint(&bytes[..size])).filter(|time| *time < MAX_TIME);
                }
                id::SIMPLE_BLOCK => {
                    let Some(time) = time else { return Ok(at) };
                    if !self.block(elements, cluster, &head, end, time, first)? {
                        return Ok(at);
                    }
                    first = false;
                    self.whole = end;
                }
                _ => return Ok(at),
            }
            at = end;
        }
        Ok(at)
    }

    /// Takes a block in; false if it is none.
    fn block<R: Read + Seek>(
        &mut self,
        elements: &mut Elements<R>,
        cluster: &Head,
        head: &Head,
        end: u64,
        cluster_time: u64,
        first: bool,
    ) -> io::Result<bool> {
        let mut bytes = [0; 6];
        let count = elements.peek(head.data, end, &mut bytes)?;
        let (Some(&[number, high, low, flags]), 4..) = (bytes.first_chunk::<4>(), count) else {
            return Ok(false);
        };
        if number & 0x80 == 0 {
            return Ok(false);
        }
        let number = number & 0x7f;
        let time = cluster_time.saturating_add_signed(i64::from(i16::from_be_bytes([high, low])));
        let keyframe = flags & 0x80 != 0;
        // A track that the header lacks: its declaration was lost with the power. The block stays, unused.
        let Some(found) = self.tracks.iter_mut().find(|found| found.declared.number == number) else {
            return Ok(true);
        };
        found.take(i64::try_from(time).unwrap_or(0), keyframe, &bytes[4..count], end - head.data - 4);
        self.video_seen |= found.summary.kind == MediaKind::Video;
        let video_key = keyframe && found.summary.kind == MediaKind::Video;
        if video_key || (first && !self.video_seen) {
            self.cues.push(Cue {
                time,
                track: number,
                cluster: cluster.at - self.segment,
                block: u32::try_from(head.at - cluster.data).unwrap_or(0),
            });
        }
        Ok(true)
    }

    fn frames(&self) -> u64 {
        self.tracks.iter().map(|found| found.summary.frames).sum()
    }

    fn end(&self) -> MediaTime {
        self.tracks.iter().map(|found| found.summary.end).max().unwrap_or_default()
    }

    fn summary(self, container: Container, duration: Duration, bytes: u64) -> RecordingSummary {
        let tracks = self.tracks.into_iter().map(|found| found.summary).collect();
        RecordingSummary { container: Some(container), duration, bytes, tracks }
    }
}

impl Found {
    fn new(declared: Declared) -> Self {
        let summary = TrackSummary {
            track: declared.track,
            number: u32::from(declared.number),
            name: declared.name.clone(),
            kind: declared.codec.kind(),
            codec: declared.codec,
            width: declared.size.0,
            height: declared.size.1,
            start: MediaTime::ZERO,
            end: MediaTime::ZERO,
            frames: 0,
            keyframes: 0,
            bytes: 0,
            packets_lost: 0,
        };
        Self { declared, summary, last: None, frame: 33 }
    }

    fn take(&mut self, time: i64, keyframe: bool, beginning: &[u8], bytes: u64) {
        let start = MediaTime(time * MILLISECOND);
        let codec = self.declared.codec;
        let duration = match codec.kind() {
            MediaKind::Audio => {
                let Declared { channels, rate, .. } = self.declared;
                audio::duration_of(codec, channels, rate, beginning, bytes) - codec.delay()
            }
            MediaKind::Video => {
                let step = self.last.map_or(0, |last| time - last);
                if (1..=LONGEST_FRAME).contains(&step) {
                    self.frame = step;
                }
                self.frame * MILLISECOND
            }
        };
        self.last = Some(time);
        let summary = &mut self.summary;
        if summary.frames == 0 {
            summary.start = start;
        }
        summary.end = summary.end.max(MediaTime(start.0.saturating_add(duration)));
        summary.frames += 1;
        summary.keyframes += u64::from(keyframe);
        summary.bytes += bytes;
    }
}
