//! Recovery of files that were not finished: finds what to change so that they are complete.

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
    tracks::codec_delay,
};
use crate::{
    Container, MediaKind, MediaTime, RecordingSummary, TrackSummary, depacketize::audio, time::MILLISECOND,
};

/// Cluster sizes that are patched, at most. Players can read further clusters of unknown size.
const MAX_CLUSTER_PATCHES: usize = 1 << 16;
/// The largest timestamp of a cluster, in milliseconds: a century.
const MAX_TIME: u64 = 3_200_000_000_000;
/// Video frames further apart than this, in milliseconds, have a pause between them. As in the recorder.
const LONGEST_FRAME: i64 = 200;

/// What to do with a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// Nothing: it was finished.
    Complete(RecordingSummary),
    /// Apply the repair. Then it is complete.
    Repair(Repair),
    /// It ends before its first frame.
    NoMedia,
}

/// How to complete a file. In this order: truncate, append, patch, sync. If that is interrupted, the file can be recovered
/// again.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// Truncate the file to this many bytes: the end of the last complete block.
    pub truncate: u64,
    /// Append these bytes: the index.
    pub append: Bytes,
    /// Overwrite bytes at these offsets.
    pub patches: Vec<(u64, Bytes)>,
    /// The content of the complete file.
    pub summary: RecordingSummary,
}

/// Why a file can't be recovered. Leave it unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The file can't be read. The disk is at fault: try again.
    #[error("the file can't be read: {0}")]
    Io(#[from] io::Error),
    /// The file is not one that a [`Recorder`](crate::Recorder) wrote, or its header was destroyed.
    #[error("the file does not begin as a recording of this recorder does")]
    Foreign,
}

/// Reads a file that a [`Recorder`](crate::Recorder) wrote and finds its last complete block. The file is not changed.
///
/// The file may contain any bytes. Only the head of each block is read. Memory stays below a few megabytes, whatever the
/// file's size.
///
/// # Errors
/// [`RecoverError::Io`] if reading fails, [`RecoverError::Foreign`] if the file is not a recording.
///
/// ```no_run
/// use std::{
///     fs::File,
///     io::{Seek, SeekFrom, Write},
/// };
///
/// use media::{Recovery, recover};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = File::options().read(true).write(true).open("recording.webm")?;
/// match recover(&mut file)? {
///     Recovery::Complete(summary) => println!("complete: {:?}", summary.duration),
///     Recovery::NoMedia => println!("it has no frame and can be deleted"),
///     Recovery::Repair(repair) => {
///         file.set_len(repair.truncate)?;
///         file.seek(SeekFrom::End(0))?;
///         file.write_all(&repair.append)?;
///         for (offset, bytes) in &repair.patches {
///             file.seek(SeekFrom::Start(*offset))?;
///             file.write_all(bytes)?;
///         }
///         file.sync_all()?;
///         println!("repaired: {:?}", repair.summary.duration);
///     }
/// }
/// # Ok(())
/// # }
/// ```
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
    let size_is_right =
        header.segment_size.and_then(|size| size.checked_add(header.layout.segment)) == Some(length);
    // A file without a single keyframe has no index.
    let end = scan.cues_end.or(scan.cues.is_empty().then_some(scan.last_block_end));
    let finished = size_is_right && end == Some(length) && scan.open_clusters.is_empty();
    if let (true, Some(milliseconds)) = (finished, header.duration) {
        let duration = Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default();
        return Ok(Recovery::Complete(scan.summary(header.container, duration, length)));
    }
    Ok(Recovery::Repair(repair(&header, scan)))
}

fn repair(header: &Header, mut scan: Scan) -> Repair {
    let mut append = Vec::new();
    scan.cues.put(&mut append);
    let truncate = scan.last_block_end;
    let bytes = truncate + append.len() as u64;
    let duration = scan.end().to_duration();
    let webm = header.tracks.iter().all(|track| track.codec.container() == Container::Webm);
    let container = if webm { Container::Webm } else { Container::Matroska };
    let mut patches: Vec<(u64, Bytes)> = std::mem::take(&mut scan.open_clusters)
        .into_iter()
        .map(|(size_at, size)| (size_at, Bytes::copy_from_slice(&size8(size))))
        .collect();
    let at = &header.layout;
    let cues_at = (!append.is_empty()).then_some(truncate);
    if container != header.container {
        patches.push((at.doc_type, layout::doc_type(container).into()));
    }
    patches.push((at.segment_size, Bytes::copy_from_slice(&layout::segment_size(at, bytes))));
    patches.push((at.seek_head, layout::seek_head(at, cues_at).into()));
    patches.push((at.duration, layout::duration(duration.as_secs_f64() * 1_000.0).into()));
    Repair { truncate, append: append.into(), patches, summary: scan.summary(container, duration, bytes) }
}

/// A track of the header, and its frames so far.
#[derive(Debug)]
struct FoundTrack {
    declared: Declared,
    summary: TrackSummary,
    /// The last block's timestamp, in milliseconds.
    last: Option<i64>,
    /// The duration of a video frame, in milliseconds.
    frame: i64,
}

/// The state of reading the clusters.
#[derive(Debug)]
struct Scan {
    first_cluster: u64,
    segment: u64,
    tracks: Vec<FoundTrack>,
    video_seen: bool,
    cues: Cues,
    /// The end of the last complete block.
    last_block_end: u64,
    /// Offsets of cluster sizes that must be patched, and the sizes.
    open_clusters: Vec<(u64, u64)>,
    /// The end of Cues, if they follow the clusters.
    cues_end: Option<u64>,
}

impl Scan {
    fn new(header: &Header) -> Self {
        let tracks: Vec<_> = header.tracks.iter().cloned().map(FoundTrack::new).collect();
        Self {
            first_cluster: header.layout.end,
            segment: header.layout.segment,
            video_seen: false,
            tracks,
            cues: Cues::default(),
            last_block_end: header.layout.end,
            open_clusters: Vec::new(),
            cues_end: None,
        }
    }

    fn clusters<R: Read + Seek>(&mut self, elements: &mut Elements<R>) -> io::Result<()> {
        let length = elements.length();
        let mut at = self.first_cluster;
        while let Some(head) = elements.head(at, length)? {
            match head.id {
                id::CLUSTER if head.data - head.at == 12 => {}
                id::CUES => {
                    self.cues_end = head.end().filter(|end| *end <= length);
                    return Ok(());
                }
                _ => return Ok(()),
            }
            let limit = head.end().unwrap_or(length).min(length);
            let before = self.last_block_end;
            let end = self.blocks(elements, &head, limit)?;
            let holds_blocks = self.last_block_end > before;
            if holds_blocks
                && head.size != Some(self.last_block_end - head.data)
                && self.open_clusters.len() < MAX_CLUSTER_PATCHES
            {
                self.open_clusters.push((head.data - 8, self.last_block_end - head.data));
            }
            if !holds_blocks || end != self.last_block_end || (head.size.is_some() && head.end() != Some(end))
            {
                return Ok(());
            }
            at = end;
        }
        Ok(())
    }

    /// Reads the blocks of a cluster, and returns the offset of the first byte that belongs to none.
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
                    self.last_block_end = end;
                }
                _ => return Ok(at),
            }
            at = end;
        }
        Ok(at)
    }

    /// Reads a block. False if it is not one.
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
        // The header lacks the track: its entry was lost in a power failure. The block remains, and players ignore it.
        let Some(found) = self.tracks.iter_mut().find(|found| found.declared.number == number) else {
            return Ok(true);
        };
        found.add(i64::try_from(time).unwrap_or(0), keyframe, &bytes[4..count], end - head.data - 4);
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

impl FoundTrack {
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

    fn add(&mut self, time: i64, keyframe: bool, beginning: &[u8], bytes: u64) {
        let start = MediaTime(time * MILLISECOND);
        let codec = self.declared.codec;
        let duration = match codec.kind() {
            MediaKind::Audio => {
                let Declared { channels, rate, .. } = self.declared;
                audio::duration_of(codec, channels, rate, beginning, bytes) - codec_delay(codec)
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
