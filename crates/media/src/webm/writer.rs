//! Blocks into clusters into one growing file.

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

/// A keyframe opens a new cluster only if the last one has lasted this long, in milliseconds.
const MIN_CLUSTER: i64 = 500;
/// A block's timestamp is told relative to its cluster's in 16 bits.
const MAX_RELATIVE: i64 = i16::MAX as i64;
/// Nor does a cluster grow beyond this.
const MAX_CLUSTER_BYTES: u64 = 16 << 20;
/// Bytes of a block beside its frame.
const BLOCK_HEAD: usize = 9;
/// Track numbers of one byte.
const MAX_TRACKS: usize = 126;

/// A frame as the file takes it.
#[derive(Debug, Clone)]
pub(crate) struct Block<'a> {
    /// The track's number.
    pub track: u8,
    /// Milliseconds; the decoder's delay is not yet taken off (RFC 9559 §5.1.4.1.25).
    pub time: i64,
    pub keyframe: bool,
    pub data: &'a [u8],
}

#[derive(Debug, Clone)]
struct Cluster {
    /// Of its size field, from the beginning of the file.
    size_at: u64,
    /// Milliseconds.
    time: i64,
}

/// Writes one file. What is written gathers in a buffer, which the owner takes by [`flush`](Self::flush) when it has
/// grown enough; parts that are known only later are patched, in the buffer if they are still there.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    layout: Layout,
    container: Container,
    tracks: Vec<TrackEntry>,
    max_cluster: i64,
    cluster: Option<Cluster>,
    /// The first cluster whose end is in the buffer. After a crash the repair cuts it down to what there is of it.
    unfinished: Option<Cluster>,
    cues: Cues,
    /// As long as there is no video, each cluster's first block is in the index.
    video_seen: bool,
    buffer: BytesMut,
    /// Bytes handed out.
    flushed: u64,
    buffered_since: Option<Instant>,
    /// The buffer is handed out rather than grown past this, unless one block alone is larger.
    append_bytes: usize,
}

impl Writer {
    /// Begins a file. `date` is the calendar time of its origin.
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

    /// Declares a track, whose number is given out here. None if the reserved room is used up.
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
        if !codec.is_webm() && self.container == Container::Webm {
            self.container = Container::Matroska;
            self.patch(self.layout.doc_type, &header::doc_type(Container::Matroska), out);
        }
        Some(number)
    }

    pub(crate) fn container(&self) -> Container {
        self.container
    }

    /// Bytes written, those in the buffer included.
    pub(crate) fn bytes(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// What of the bytes handed out no later patch touches, nor a repair after a crash.
    pub(crate) fn settled(&self) -> FinalBytes {
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

    /// Since when the buffer holds something.
    pub(crate) fn buffered_since(&self) -> Option<Instant> {
        self.buffered_since
    }

    /// Writes a block.
    pub(crate) fn block(&mut self, block: &Block<'_>, now: Instant, out: &mut VecDeque<Output>) {
        let kind = self.tracks.get(usize::from(block.track).wrapping_sub(1)).map(|track| track.codec.kind());
        let video_key = block.keyframe && kind == Some(MediaKind::Video);
        if self.wants_cluster(block.time, video_key) {
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
        let relative = i16::try_from(block.time - cluster_time).unwrap_or(0);
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

    /// Hands out what has gathered.
    pub(crate) fn flush(&mut self, out: &mut VecDeque<Output>) {
        self.buffered_since = None;
        if self.buffer.is_empty() {
            return;
        }
        self.unfinished = None;
        let bytes = self.buffer.split().freeze();
        self.flushed += bytes.len() as u64;
        // The next part will be about as large; growing step by step would end at twice the size.
        self.buffer = BytesMut::with_capacity(if bytes.len() > self.append_bytes / 2 {
            self.append_bytes
        } else {
            bytes.len()
        });
        out.push_back(Output::Append(bytes));
    }

    /// Closes the file: the index at its end, and what was left open in its header. Returns its size.
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

    fn wants_cluster(&self, time: i64, video_key: bool) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let age = time - cluster.time;
        age >= self.max_cluster
            || age < -MAX_RELATIVE
            || (video_key && age >= MIN_CLUSTER)
            || self.bytes() - cluster.size_at > MAX_CLUSTER_BYTES
    }

    fn begin_cluster(&mut self, time: i64) -> i64 {
        // The recording's timeline begins at zero whichever track comes first.
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

    /// Overwrites what was written earlier: in the buffer, in the file, or across both.
    fn patch(&mut self, offset: u64, bytes: &[u8], out: &mut VecDeque<Output>) {
        let in_file =
            usize::try_from(self.flushed.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        let (file, buffer) = bytes.split_at(in_file);
        if !file.is_empty() {
            out.push_back(Output::Patch { offset, bytes: Bytes::copy_from_slice(file) });
        }
        let start =
            usize::try_from((offset + in_file as u64).saturating_sub(self.flushed)).unwrap_or(usize::MAX);
        if let Some(place) = self.buffer.get_mut(start..start.saturating_add(buffer.len())) {
            place.copy_from_slice(buffer);
        }
    }
}

/// A block's size in two bytes for audio, else in four: no loop a block.
fn put_block_size(buffer: &mut BytesMut, size: usize) {
    if size < 0x3fff {
        buffer.put_u16(0x4000 | u16::try_from(size).unwrap_or(0));
    } else {
        buffer.put_u32(0x1000_0000 | u32::try_from(size).unwrap_or(0));
    }
}
