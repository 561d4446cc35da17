//! Reads the input once without decoding, to find its tracks and their times.
//!
//! A truncated recording has no duration in its header, a browser's video begins small and grows, and tracks can start late
//! and pause. All of this must be known before the first byte of the output is written. Reading the packets once is cheap
//! compared with decoding them.

use std::path::Path;

use ffmpeg_next::{self as ff, codec, media};

use super::{
    Reader,
    keyframe::Keyframes,
    measure::is_possible,
    rotation,
    runs::{MAX_RUNS, Pieces, RUN_GAP, Run, drop_unconfirmed_ends},
};
use crate::{MediaKind, TranscodeError, libav, picture::Rotation, progress::Cancelled, time::Time};

/// Further tracks are ignored: a file that has them is damaged.
const MAX_TRACKS: usize = 256;
/// The most different sizes of a track that are stored.
const MAX_SIZES: usize = 1_000;
/// The most that other tracks are read ahead for a track that lags. More costs too much memory.
const MAX_SKEW: Time = Time::from_millis(30_000);
/// The same for an open file. The recorder waits about a second for a track that lags before it writes the others.
const LIVE_SKEW: Time = Time::from_millis(3_000);

/// The tracks of the input and their times.
pub(crate) struct Probe {
    /// The tracks that have packets, in the order of the file.
    pub(crate) tracks: Vec<Track>,
    /// The most by which the time of a packet is before the latest time of the packets in front of it.
    pub(crate) skew: Time,
    /// Whether only the header was read.
    pub(crate) ahead: bool,
}

/// One track.
#[derive(Clone)]
pub(crate) struct Track {
    /// Its position in the file, from 0.
    pub(crate) index: usize,
    pub(crate) kind: MediaKind,
    pub(crate) codec: codec::Id,
    pub(crate) parameters: codec::Parameters,
    pub(crate) time_base: ff::Rational,
    pub(crate) rotation: Rotation,
    /// In the order of time; never empty.
    pub(crate) runs: Vec<Run>,
    /// The times where decoding can start.
    pub(crate) keyframes: Vec<Time>,
    /// The sizes that keyframes declare, before rotation; empty if unknown.
    pub(crate) sizes: Vec<Declared>,
    /// Whether its packets are in the order of decoding and have valid decoding times.
    pub(crate) ordered: bool,
    /// Pictures a second.
    frame_rate: u32,
}

/// A size that keyframes declare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) size: (u32, u32),
    /// How many keyframes declare it.
    pub(crate) keyframes: u32,
    /// The first of these keyframes.
    pub(crate) first: Time,
}

impl Probe {
    /// Reads the whole input.
    pub(crate) fn of(path: &Path, cancelled: Cancelled<'_>) -> Result<Self, TranscodeError> {
        let mut reader = Reader::open(path)?;
        let mut track_probes = track_probes(&rotation::pose_rolls(path), &reader.input);
        let mut skew = Skew::default();
        while let Some(packet) = reader.next(cancelled)? {
            if let Some(Some(track_probe)) = track_probes.get_mut(packet.stream())
                && let Some(time) = track_probe.add(&packet)
            {
                skew.add(time);
            }
        }
        let declared = libav::ffi::declared_duration(&reader.input)
            .and_then(|ticks| Time::from_ticks(ticks, ff::rescale::TIME_BASE));
        let mut tracks: Vec<Track> = track_probes.into_iter().flatten().map(TrackProbe::finish).collect();
        drop_unconfirmed_ends(
            &mut tracks.iter_mut().map(|track| &mut track.runs).collect::<Vec<_>>(),
            declared,
        );
        tracks.retain_mut(Track::finish);
        if tracks.is_empty() {
            return Err(TranscodeError::Unreadable { detail: libav::with_log("no packet of media in it") });
        }
        Ok(Self { tracks, skew: skew.most.min(MAX_SKEW), ahead: false })
    }

    /// The tracks that the header of an open file declares. The times of their packets aren't known, so each track has one
    /// run without end.
    pub(crate) fn ahead(reader: &Reader) -> Self {
        let runs = vec![Run::new(Time::MIN, Time::MAX)];
        let tracks = track_probes(&[], &reader.input).into_iter().flatten();
        let tracks = tracks.map(|track_probe| Track { runs: runs.clone(), ..track_probe.track }).collect();
        Self { tracks, skew: LIVE_SKEW, ahead: true }
    }

    /// The tracks of a kind, in the order of the file.
    pub(crate) fn of_kind(&self, kind: MediaKind) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// The track at a position in the file.
    pub(crate) fn track(&self, index: usize) -> Option<&Track> {
        self.tracks.iter().find(|track| track.index == index)
    }
}

impl Track {
    pub(crate) fn start(&self) -> Time {
        self.runs.first().map_or(Time::ZERO, |run| run.start)
    }

    pub(crate) fn end(&self) -> Time {
        self.runs.last().map_or(Time::ZERO, |run| run.end)
    }

    /// Whether `time` lies outside of all runs, so that the timestamp is damaged.
    pub(crate) fn is_stray(&self, time: Time) -> bool {
        let after = self.runs.partition_point(|run| run.start <= time);
        after.checked_sub(1).and_then(|at| self.runs.get(at)).is_none_or(|run| time > run.end)
    }

    /// Pictures a second, as a hint for encoders.
    pub(crate) fn frame_rate(&self) -> u32 {
        self.frame_rate
    }

    /// The usual duration of a frame.
    pub(crate) fn frame_length(&self) -> Time {
        Time::from_millis(1_000 / i64::from(self.frame_rate))
    }

    /// Whether its packets follow each other without gaps from time 0, so that a format without timestamps can hold them.
    pub(crate) fn is_continuous(&self) -> bool {
        /// Timestamps are whole milliseconds.
        const SHORT: Time = Time::from_millis(10);
        const DRIFT: Time = Time::from_millis(20);
        matches!(self.runs.as_slice(), [run] if run.start.abs() <= SHORT && run.longest_gap <= SHORT && run.drift <= DRIFT)
    }

    /// Derives what follows from the runs. Returns false if there is no run.
    fn finish(&mut self) -> bool {
        let runs = std::mem::take(&mut self.runs);
        self.frame_rate = frame_rate(&runs);
        self.runs = runs;
        let keyframes = std::mem::take(&mut self.keyframes);
        self.keyframes = keyframes.into_iter().filter(|time| !self.is_stray(*time)).collect();
        self.keyframes.sort_unstable();
        let sizes = std::mem::take(&mut self.sizes);
        self.sizes = sizes.into_iter().filter(|declared| !self.is_stray(declared.first)).collect();
        if self.kind == MediaKind::Video {
            // Containers don't store the duration of a frame. The last one of a run gets the average.
            let length = self.frame_length();
            for run in &mut self.runs {
                run.end = run.end + length;
            }
        }
        !self.runs.is_empty()
    }
}

/// Frames a second: the number of frames divided by the time from the first to the last. Long gaps don't count.
fn frame_rate(runs: &[Run]) -> u32 {
    /// A frame of a shared screen can be shown for this long. A longer gap is a pause.
    const LONGEST: Time = Time::from_millis(10_000);
    let within: f64 = runs.iter().map(|run| (run.end - run.start).seconds()).sum();
    let between = runs.windows(2).filter_map(|pair| match pair {
        [before, after] => Some((after.start - before.end).min(LONGEST).seconds()),
        _ => None,
    });
    let seconds = within + between.sum::<f64>();
    let packets: u64 = runs.iter().map(|run| run.packets).sum();
    let intervals = packets.saturating_sub(1) as f64;
    ((intervals / seconds.max(0.04)).round() as u32).clamp(1, 120)
}

/// The largest step back in time, in the order of the file.
#[derive(Default)]
struct Skew {
    latest: Time,
    most: Time,
}

impl Skew {
    fn add(&mut self, time: Time) {
        self.latest = self.latest.max(time);
        self.most = self.most.max(self.latest - time);
    }
}

fn track_probes(rolls: &[Rotation], input: &ff::format::context::Input) -> Vec<Option<TrackProbe>> {
    let tracks = input.streams().take(MAX_TRACKS).map(|stream| {
        // A copy, since the stream's parameters hold a reference to the demuxer.
        let parameters = stream.parameters().clone();
        let kind = match parameters.medium() {
            media::Type::Video => MediaKind::Video,
            media::Type::Audio => MediaKind::Audio,
            _ => return None,
        };
        let index = stream.index();
        let rotation = rotation::of_stream(&stream).or_else(|| rolls.get(index).copied());
        Some(TrackProbe {
            track: Track {
                index,
                kind,
                codec: parameters.id(),
                parameters,
                time_base: stream.time_base(),
                rotation: rotation.unwrap_or_default(),
                runs: Vec::new(),
                keyframes: Vec::new(),
                sizes: Vec::new(),
                ordered: true,
                frame_rate: 1,
            },
            pieces: Pieces::default(),
            keyframes: None,
            decoded: None,
        })
    });
    tracks.collect()
}

struct TrackProbe {
    track: Track,
    pieces: Pieces,
    /// Set at the first keyframe.
    keyframes: Option<Keyframes>,
    /// The decoding time of the previous packet.
    decoded: Option<Time>,
}

impl TrackProbe {
    /// Adds a packet. Returns its decoding time.
    fn add(&mut self, packet: &ff::Packet) -> Option<Time> {
        let track = &mut self.track;
        let time_of = |ticks: i64| Time::from_ticks(ticks, track.time_base);
        let time = time_of(packet.pts().or(packet.dts())?)?;
        // Some containers guess the duration of a frame. `finish` computes it.
        let length = if track.kind == MediaKind::Audio { packet.duration().max(0) } else { 0 };
        self.pieces.push(time, time + time_of(length).unwrap_or_default());
        let decoded = packet.dts().and_then(time_of).unwrap_or(time);
        // A larger step back is damage, not the order of the track.
        let back = self.decoded.is_some_and(|last| decoded <= last && decoded + RUN_GAP > last);
        track.ordered &= !back && decoded <= time;
        self.decoded = Some(decoded);
        if track.kind == MediaKind::Video && packet.is_key() {
            self.add_keyframe(packet, time);
        }
        Some(decoded)
    }

    fn add_keyframe(&mut self, packet: &ff::Packet, time: Time) {
        let track = &mut self.track;
        if track.keyframes.len() < MAX_RUNS {
            track.keyframes.push(time);
        }
        let keyframes = self.keyframes.get_or_insert_with(|| Keyframes::of(track.codec, &track.parameters));
        let Some(size) = keyframes.size(packet).filter(|size| is_possible(*size)) else { return };
        let full = track.sizes.len() >= MAX_SIZES;
        match track.sizes.iter_mut().find(|declared| declared.size == size) {
            Some(declared) => declared.keyframes += 1,
            None if full => {}
            None => track.sizes.push(Declared { size, keyframes: 1, first: time }),
        }
    }

    fn finish(self) -> Track {
        let (runs, skipped) = self.pieces.runs();
        if skipped.packets > 0 {
            tracing::debug!(
                track = self.track.index,
                pts = skipped.first.map(Time::seconds),
                skipped = skipped.packets,
                "damaged timestamps: packets skipped"
            );
        }
        Track { runs, ..self.track }
    }
}
