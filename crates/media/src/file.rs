//! The recording's file: frames to blocks, tracks to track entries.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    Codec, FinalBytes, MediaTime, Output, RecorderConfig, RecordingSummary, TrackSummary,
    frame::CodedFrame,
    interleave::TimedFrame,
    time::{LocalNanos, MILLISECOND},
    track::{Entry, Track},
    webm::{Block, CodecPrivate, TrackEntry, Writer, codec_delay},
};

/// A file that begins once the recording's origin is known.
#[derive(Debug, Clone)]
pub(crate) struct RecordingFile {
    /// The wall clock at local time zero.
    wall: SystemTime,
    origin: LocalNanos,
    writer: Option<Writer>,
    /// When the last frame ends.
    end: MediaTime,
}

impl RecordingFile {
    pub(crate) fn new(wall: SystemTime) -> Self {
        Self { wall, origin: 0, writer: None, end: MediaTime::ZERO }
    }

    /// Writes the header. `origin` becomes the file's time zero.
    pub(crate) fn begin(&mut self, origin: LocalNanos, config: &RecorderConfig, now: Instant) {
        self.origin = origin;
        let span = Duration::from_nanos(origin.unsigned_abs());
        let date = if origin < 0 { self.wall.checked_sub(span) } else { self.wall.checked_add(span) };
        self.writer = Some(Writer::new(
            date.unwrap_or(self.wall),
            &config.writing_app,
            config.max_cluster,
            config.append_bytes,
            now,
        ));
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::bytes)
    }

    pub(crate) fn final_bytes(&self) -> Option<FinalBytes> {
        self.writer.as_ref().map(Writer::final_bytes)
    }

    pub(crate) fn buffered(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::buffered)
    }

    pub(crate) fn position(&self) -> MediaTime {
        self.end
    }

    pub(crate) fn flush_deadline(&self, age: Duration) -> Option<Instant> {
        self.writer.as_ref()?.buffered_since().map(|since| since + age)
    }

    pub(crate) fn flush(&mut self, out: &mut VecDeque<Output>) {
        if let Some(writer) = &mut self.writer {
            writer.flush(out);
        }
    }

    /// Writes a track's entry, from the first of its frames, so that it is in the header before any block.
    pub(crate) fn declare_first(&mut self, track: &mut Track, out: &mut VecDeque<Output>) {
        let Some(frame) = track.timed.pop_front() else { return };
        self.entry(track, &frame.frame, out);
        track.timed.push_front(frame);
    }

    /// Writes a frame. If the header has no room for the track's entry, the frame is dropped and counted.
    pub(crate) fn write(
        &mut self,
        track: &mut Track,
        timed: &TimedFrame,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) {
        let media = MediaTime(timed.time.saturating_sub(self.origin).max(0));
        if !self.entry(track, &timed.frame, out) {
            track.frames_without_entry += 1;
            return;
        }
        let (Some(writer), Some(entry)) = (&mut self.writer, track.entries.get_mut(track.current)) else {
            debug_assert!(false, "`entry` selects an entry, which only a writer makes");
            return;
        };
        let summary = &mut entry.summary;
        let data = timed.frame.data.as_ref();
        let number = u8::try_from(summary.number);
        debug_assert!(number.is_ok(), "the writer returned the number as a byte");
        let number = number.unwrap_or(0);
        let time = (media.0 + MILLISECOND / 2) / MILLISECOND;
        writer.block(&Block { track: number, time, keyframe: timed.frame.keyframe, data }, now, out);
        // Players present Opus earlier by the CodecDelay, so it ends earlier too.
        let end = MediaTime(media.0 + timed.duration - codec_delay(summary.codec));
        if summary.frames == 0 {
            summary.start = media;
        }
        summary.end = summary.end.max(end);
        summary.frames += 1;
        summary.keyframes += u64::from(timed.frame.keyframe);
        summary.bytes += data.len() as u64;
        track.frames += 1;
        self.end = self.end.max(end);
    }

    /// Finishes the file. Without a header, as no frame was ever written, there is none.
    pub(crate) fn finish(&mut self, tracks: &mut [Track], out: &mut VecDeque<Output>) -> RecordingSummary {
        let Some(writer) = &mut self.writer else {
            return RecordingSummary {
                container: None,
                duration: Duration::ZERO,
                bytes: 0,
                tracks: Vec::new(),
            };
        };
        let duration = self.end.to_duration();
        let bytes = writer.finish(duration, out);
        let mut summaries = Vec::new();
        for track in tracks {
            let lost = track.packets_lost();
            summaries.extend(std::mem::take(&mut track.entries).into_iter().map(|entry| entry.summary));
            if let Some(last) = summaries.last_mut().filter(|last| last.track == track.config.id) {
                last.packets_lost = lost;
            }
        }
        summaries.sort_by_key(|summary| summary.number);
        RecordingSummary { container: Some(writer.container()), duration, bytes, tracks: summaries }
    }

    /// Selects the track's entry for a frame's format, and writes it if it is new. False if the header has no room.
    fn entry(&mut self, track: &mut Track, frame: &CodedFrame, out: &mut VecDeque<Output>) -> bool {
        let rate = if frame.codec == Codec::Pcm { frame.clock_rate } else { 0 };
        let matches = |entry: &Entry| {
            entry.summary.codec == frame.codec && (entry.channels, entry.rate) == (frame.channels, rate)
        };
        if track.entries.get(track.current).is_some_and(matches) {
            return true;
        }
        if let Some(found) = track.entries.iter().position(matches) {
            track.current = found;
            return true;
        }
        let Some(writer) = &mut self.writer else { return false };
        let channels = frame.channels.max(1);
        let size = frame.size.unwrap_or_default();
        let private = CodecPrivate::new(frame.codec, channels, frame.data.as_ref());
        let entry = TrackEntry {
            track: track.config.id,
            number: 0,
            name: track.config.name.clone(),
            codec: frame.codec,
            channels,
            rate,
            size,
            rotation: frame.rotation.unwrap_or_default(),
            private,
        };
        let Some(number) = writer.add_track(entry, out) else { return false };
        track.current = track.entries.len();
        track.entries.push(Entry {
            channels: frame.channels,
            rate,
            summary: summary(track, u32::from(number), frame.codec, size),
        });
        true
    }
}

fn summary(track: &Track, number: u32, codec: Codec, (width, height): (u32, u32)) -> TrackSummary {
    TrackSummary {
        track: track.config.id,
        number,
        name: track.config.name.clone(),
        kind: codec.kind(),
        codec,
        width,
        height,
        start: MediaTime::ZERO,
        end: MediaTime::ZERO,
        frames: 0,
        keyframes: 0,
        bytes: 0,
        packets_lost: 0,
    }
}
