//! The writer: blocks into clusters, clusters into one file.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    cues::{Cue, Cues},
    ebml::{UNKNOWN_SIZE, id, put_id, put_uint, size8},
    header::{self, Layout},
    tracks::TrackEntry,
};
use crate::{Container, FinalBytes, MediaKind, Output};

/// A keyframe begins a new cluster only if the present one is this long, in milliseconds.
const MIN_CLUSTER: i64 = 500;
/// A block's timestamp is relative to its cluster's, in 16 bits. In milliseconds.
const MAX_RELATIVE: i64 = i16::MAX as i64;
/// A larger cluster ends with its next block.
const MAX_CLUSTER_BYTES: u64 = 16 << 20;
/// The most bytes of a block beside its frame.
const BLOCK_HEAD: usize = 9;
/// Track numbers up to this take one byte in a block.
const MAX_TRACKS: usize = 126;

/// A SimpleBlock.
#[derive(Debug, Clone)]
pub(crate) struct Block<'a> {
    /// The track's number.
    pub track: u8,
    /// Milliseconds. Players subtract the CodecDelay from it (RFC 9559 §5.1.4.1.25).
    pub time: i64,
    pub keyframe: bool,
    pub data: &'a [u8],
}

#[derive(Debug, Clone)]
struct Cluster {
    /// Byte offset of its size field in the file.
    size_at: u64,
    /// Its timestamp, in milliseconds.
    time: i64,
}

/// Writes one file. Bytes are buffered until the owner calls [`flush`](Self::flush), or until the buffer is full. Sizes that
/// are known only later are patched: in the buffer, or by [`Output::Patch`].
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    layout: Layout,
    container: Container,
    tracks: Vec<TrackEntry>,
    /// Milliseconds.
    max_cluster: i64,
    cluster: Option<Cluster>,
    /// The first cluster that ends in the buffer. If the process crashes now, the repair patches its size.
    unfinished: Option<Cluster>,
    cues: Cues,
    /// Without video the first block of each cluster is in the index.
    video_seen: bool,
    buffer: BytesMut,
    /// Bytes returned by [`Output::Append`].
    flushed: u64,
    buffered_since: Option<Instant>,
    /// The buffer's size. Only a single larger block exceeds it.
    append_bytes: usize,
}

impl Writer {
    /// Begins a file. `date` is the wall clock at its origin.
    pub(crate) fn new(
        date: SystemTime,
        app: &str,
        max_cluster: Duration,
        append_bytes: usize,
        now: Instant,
    ) -> Self {
        let mut header = Vec::new();
        let layout = header::put_header(&mut header, Container::Webm, date, app, &[]);
        Self {
            layout,
            container: Container::Webm,
            tracks: Vec::new(),
            max_cluster: i64::try_from(max_cluster.as_millis())
                .unwrap_or(MAX_RELATIVE)
                .clamp(1, MAX_RELATIVE),
            cluster: None,
            unfinished: None,
            cues: Cues::default(),
            video_seen: false,
            buffer: BytesMut::from(&header[..]),
            flushed: 0,
            buffered_since: Some(now),
            append_bytes,
        }
    }

    /// Writes a track's entry and returns its number. None if the header has no room for it.
    pub(crate) fn add_track(&mut self, mut entry: TrackEntry, out: &mut VecDeque<Output>) -> Option<u8> {
        if self.tracks.len() >= MAX_TRACKS {
            return None;
        }
        let number = u8::try_from(self.tracks.len() + 1).ok()?;
        entry.number = number;
        let codec = entry.codec;
        self.tracks.push(entry);
        let Some(region) = header::tracks_region(&self.tracks) else {
            self.tracks.pop();
            return None;
        };
        self.patch(self.layout.tracks, &region, out);
        if codec.container() == Container::Matroska && self.container == Container::Webm {
            self.container = Container::Matroska;
            self.patch(self.layout.doc_type, &header::doc_type(Container::Matroska), out);
        }
        Some(number)
    }

    pub(crate) fn container(&self) -> Container {
        self.container
    }

    /// Bytes written, with those in the buffer.
    pub(crate) fn bytes(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// The part of the flushed bytes that neither a later patch nor a repair after a crash changes.
    pub(crate) fn final_bytes(&self) -> FinalBytes {
        let open = self.unfinished.as_ref().or(self.cluster.as_ref());
        FinalBytes {
            from: self.layout.end,
            until: open.map_or(self.flushed, |cluster| cluster.size_at.min(self.flushed)),
            time: open.map_or(Duration::ZERO, |cluster| Duration::from_millis(cluster.time.unsigned_abs())),
            entries: self.tracks.len(),
            container: self.container,
        }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Since when the buffer is not empty.
    pub(crate) fn buffered_since(&self) -> Option<Instant> {
        self.buffered_since
    }

    /// Writes a block.
    pub(crate) fn block(&mut self, block: &Block<'_>, now: Instant, out: &mut VecDeque<Output>) {
        let kind = self.tracks.get(usize::from(block.track).wrapping_sub(1)).map(|track| track.codec.kind());
        let video_key = block.keyframe && kind == Some(MediaKind::Video);
        if self.needs_new_cluster(block.time, video_key) {
            self.end_cluster(out);
        }
        let new_cluster = self.cluster.is_none();
        let cluster_time = match &self.cluster {
            Some(cluster) => cluster.time,
            None => self.begin_cluster(block.time),
        };
        self.video_seen |= kind == Some(MediaKind::Video);
        if video_key || (new_cluster && !self.video_seen) {
            self.cue(block);
        }
        let relative = i16::try_from(block.time - cluster_time);
        debug_assert!(relative.is_ok(), "a block further from its cluster begins another");
        let relative = relative.unwrap_or(0);
        if self.buffer.len() + block.data.len() + BLOCK_HEAD > self.append_bytes {
            self.flush(out);
        }
        let buffer = &mut self.buffer;
        put_id(buffer, id::SIMPLE_BLOCK);
        put_block_size(buffer, block.data.len() + 4);
        buffer.put_u8(0x80 | block.track);
        buffer.put_i16(relative);
        buffer.put_u8(if block.keyframe { 0x80 } else { 0 });
        buffer.put_slice(block.data);
        self.buffered_since.get_or_insert(now);
    }

    /// Returns the buffered bytes by [`Output::Append`].
    pub(crate) fn flush(&mut self, out: &mut VecDeque<Output>) {
        self.buffered_since = None;
        if self.buffer.is_empty() {
            return;
        }
        self.unfinished = None;
        let bytes = self.buffer.split().freeze();
        self.flushed += bytes.len() as u64;
        // The next buffer will be about as large. Growing step by step would end at twice the size.
        self.buffer = BytesMut::with_capacity(if bytes.len() > self.append_bytes / 2 {
            self.append_bytes
        } else {
            bytes.len()
        });
        out.push_back(Output::Append(bytes));
    }

    /// Finishes the file: writes Cues, and patches segment size, SeekHead and Duration. Returns the file's size.
    pub(crate) fn finish(&mut self, duration: Duration, out: &mut VecDeque<Output>) -> u64 {
        self.end_cluster(out);
        let cues_at = self.bytes();
        let mut cues = Vec::new();
        self.cues.put(&mut cues);
        self.buffer.put_slice(&cues);
        let has_cues = !cues.is_empty();
        self.flush(out);
        let bytes = self.flushed;
        let seek_head = header::seek_head(&self.layout, has_cues.then_some(cues_at));
        self.patch(self.layout.segment_size, &header::segment_size(&self.layout, bytes), out);
        self.patch(self.layout.seek_head, &seek_head, out);
        self.patch(self.layout.duration, &header::duration(duration.as_secs_f64() * 1_000.0), out);
        bytes
    }

    fn needs_new_cluster(&self, time: i64, video_key: bool) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let age = time - cluster.time;
        age >= self.max_cluster
            || age < -MAX_RELATIVE
            || (video_key && age >= MIN_CLUSTER)
            || self.bytes() - cluster.size_at > MAX_CLUSTER_BYTES
    }

    fn begin_cluster(&mut self, time: i64) -> i64 {
        // The first cluster begins at zero, whichever track is first.
        let time = if self.bytes() == self.layout.end && time < MIN_CLUSTER { 0 } else { time };
        put_id(&mut self.buffer, id::CLUSTER);
        let size_at = self.bytes();
        self.buffer.put_slice(&UNKNOWN_SIZE);
        put_uint(&mut self.buffer, id::TIMESTAMP, time.unsigned_abs());
        self.cluster = Some(Cluster { size_at, time });
        time
    }

    fn end_cluster(&mut self, out: &mut VecDeque<Output>) {
        let Some(cluster) = self.cluster.take() else { return };
        if !self.buffer.is_empty() {
            self.unfinished.get_or_insert_with(|| cluster.clone());
        }
        let size = self.bytes() - cluster.size_at - 8;
        self.patch(cluster.size_at, &size8(size), out);
    }

    fn cue(&mut self, block: &Block<'_>) {
        let Some(cluster) = &self.cluster else { return };
        let data_at = cluster.size_at + 8;
        self.cues.push(Cue {
            time: block.time.unsigned_abs(),
            track: block.track,
            cluster: cluster.size_at - 4 - self.layout.segment,
            block: u32::try_from(self.bytes() - data_at).unwrap_or(0),
        });
    }

    /// Overwrites earlier bytes: in the buffer, in the file, or in both.
    fn patch(&mut self, offset: u64, bytes: &[u8], out: &mut VecDeque<Output>) {
        let in_file =
            usize::try_from(self.flushed.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        let (file, buffer) = bytes.split_at(in_file);
        if !file.is_empty() {
            out.push_back(Output::Patch { offset, bytes: Bytes::copy_from_slice(file) });
        }
        let start =
            usize::try_from((offset + in_file as u64).saturating_sub(self.flushed)).unwrap_or(usize::MAX);
        match self.buffer.get_mut(start..start.saturating_add(buffer.len())) {
            Some(earlier) => earlier.copy_from_slice(buffer),
            None => debug_assert!(false, "a patch beyond the end of the file"),
        }
    }
}

/// Writes a block's size in two bytes, or in four if it is large. Unlike [`put_size`](super::ebml::put_size) without a loop.
fn put_block_size(buffer: &mut BytesMut, size: usize) {
    if size < 0x3fff {
        buffer.put_u16(0x4000 | u16::try_from(size).unwrap_or(0));
    } else {
        buffer.put_u32(0x1000_0000 | u32::try_from(size).unwrap_or(0));
    }
}
