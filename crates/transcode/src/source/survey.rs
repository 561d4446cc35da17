//! A first reading of the input without decoding: what is in it and when.
//!
//! A recording that was cut off has no duration in its header, a browser begins small and grows, and tracks come and
//! go. All of this must be known before the first byte of the output is written, and reading the packets once is
//! cheap beside decoding them.

use std::path::Path;

use ffmpeg_next::{self as ff, codec, media};

use super::{Reader, Rotation, keyframe, rotation};
use crate::{TranscodeError, libav, progress::Cancelled, time::Time};

/// Tracks beyond this many are ignored: a file that has them is damaged.
const MAX_TRACKS: usize = 256;
/// A track that is silent for longer begins a new run.
pub(super) const RUN_GAP: Time = Time::from_millis(2_500);
/// Runs and keyframes that are remembered of a track; later ones are taken as part of the last.
const MAX_RUNS: usize = 100_000;
/// Reading ahead further than this for a track that lags is not worth the memory.
const MAX_SKEW: Time = Time::from_millis(30_000);
/// A recorder waits about a second for a track that lags before it writes the others.
const LIVE_SKEW: Time = Time::from_millis(3_000);

/// What is in the input.
pub(crate) struct Survey {
    /// Those with packets, in the order of the file.
    pub(crate) tracks: Vec<Track>,
    /// How far, in the order of the file, a packet can come behind packets of a later time.
    pub(crate) skew: Time,
    /// Only the header was read.
    pub(crate) ahead: bool,
}

/// Picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
}

/// Packets with no long hole between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: Time,
    pub(crate) end: Time,
    packets: u64,
}

/// One track.
#[derive(Clone)]
pub(crate) struct Track {
    /// Its place in the file.
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    pub(crate) codec: codec::Id,
    pub(crate) parameters: codec::Parameters,
    pub(crate) time_base: ff::Rational,
    pub(crate) rotation: Rotation,
    /// In the order of time; never empty.
    pub(crate) runs: Vec<Run>,
    /// Where decoding can start.
    pub(crate) keyframes: Vec<Time>,
    /// Largest size that keyframes declare, as coded; zero if it isn't known.
    pub(crate) size: (u32, u32),
    /// The longest time between the end of a packet and the next.
    pub(crate) longest_gap: Time,
}

impl Survey {
    /// Reads the whole input.
    pub(crate) fn of(path: &Path, cancelled: Cancelled<'_>) -> Result<Self, TranscodeError> {
        let mut reader = Reader::open(path)?;
        let mut surveyors = surveyors(&rotation::pose_rolls(path), &reader.input);
        let mut skew = Skew::default();
        while let Some(packet) = reader.next(cancelled)? {
            if let Some(Some(surveyor)) = surveyors.get_mut(packet.stream())
                && let Some(time) = surveyor.see(&packet)
            {
                skew.see(time);
            }
        }
        let tracks: Vec<Track> = surveyors.into_iter().flatten().filter_map(Surveyor::finish).collect();
        if tracks.is_empty() {
            return Err(TranscodeError::Unreadable { detail: libav::with_log("no packet of media in it") });
        }
        Ok(Self { tracks, skew: skew.most.min(MAX_SKEW), ahead: false })
    }

    /// Of a file that still grows: what its header declares. When packets come isn't known, so each track is taken to
    /// run for ever.
    pub(crate) fn ahead(reader: &Reader) -> Self {
        let runs = vec![Run { start: Time::MIN, end: Time::MAX, packets: 0 }];
        let tracks = surveyors(&[], &reader.input).into_iter().flatten();
        let tracks = tracks.map(|surveyor| Track { runs: runs.clone(), ..surveyor.track }).collect();
        Self { tracks, skew: LIVE_SKEW, ahead: true }
    }

    /// Those of a kind, in the order of the file.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// The track at a place in the file.
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

    /// Whether `time` lies in none of the runs: the timestamp is damaged.
    pub(crate) fn is_stray(&self, time: Time) -> bool {
        let after = self.runs.partition_point(|run| run.start <= time);
        after.checked_sub(1).and_then(|at| self.runs.get(at)).is_none_or(|run| time > run.end)
    }

    /// Pictures a second while the track runs, as a hint for encoders.
    pub(crate) fn frame_rate(&self) -> u32 {
        let seconds: f64 = self.runs.iter().map(|run| (run.end - run.start).seconds()).sum();
        let packets: u64 = self.runs.iter().map(|run| run.packets).sum();
        ((packets as f64 / seconds.max(0.04)).round() as u32).clamp(1, 120)
    }
}

/// The largest step back in the order of the file.
#[derive(Default)]
struct Skew {
    latest: Time,
    most: Time,
}

impl Skew {
    fn see(&mut self, time: Time) {
        self.latest = self.latest.max(time);
        self.most = self.most.max(self.latest - time);
    }
}

fn surveyors(rolls: &[Rotation], input: &ff::format::context::Input) -> Vec<Option<Surveyor>> {
    let tracks = input.streams().take(MAX_TRACKS).map(|stream| {
        let parameters = stream.parameters();
        let kind = match parameters.medium() {
            media::Type::Video => Kind::Video,
            media::Type::Audio => Kind::Audio,
            _ => return None,
        };
        let index = stream.index();
        let rotation = rotation::of_stream(&stream).or_else(|| rolls.get(index).copied());
        Some(Surveyor {
            track: Track {
                index,
                kind,
                codec: parameters.id(),
                parameters,
                time_base: stream.time_base(),
                rotation: rotation.unwrap_or_default(),
                runs: Vec::new(),
                keyframes: Vec::new(),
                size: (0, 0),
                longest_gap: Time::ZERO,
            },
        })
    });
    tracks.collect()
}

struct Surveyor {
    track: Track,
}

impl Surveyor {
    /// Notes a packet and tells its time in the order of decoding.
    fn see(&mut self, packet: &ff::Packet) -> Option<Time> {
        let track = &mut self.track;
        let ticks = packet.pts().or(packet.dts())?;
        let time = Time::from_ticks(ticks, track.time_base)?;
        let length = Time::from_ticks(packet.duration().max(0), track.time_base).unwrap_or_default();
        self.place(time, time + length);
        let track = &mut self.track;
        if track.kind == Kind::Video && packet.is_key() && track.keyframes.len() < MAX_RUNS {
            track.keyframes.push(time);
            if let Some((width, height)) = packet.data().and_then(|data| keyframe::size(track.codec, data)) {
                track.size = (track.size.0.max(width), track.size.1.max(height));
            }
        }
        packet.dts().and_then(|ticks| Time::from_ticks(ticks, track.time_base)).or(Some(time))
    }

    fn place(&mut self, time: Time, end: Time) {
        let track = &mut self.track;
        // A jump ahead that is taken back is a damaged timestamp: what follows shows where the recording really is.
        while let [.., before, stray] = track.runs.as_slice()
            && time + RUN_GAP < stray.start
            && time + RUN_GAP >= before.end
        {
            track.runs.pop();
        }
        let full = track.runs.len() >= MAX_RUNS;
        match track.runs.last_mut() {
            Some(run) if full || time <= run.end + RUN_GAP => {
                track.longest_gap = track.longest_gap.max(time - run.end);
                run.start = run.start.min(time);
                run.end = run.end.max(end);
                run.packets += 1;
            }
            last => {
                if let Some(run) = last {
                    track.longest_gap = track.longest_gap.max(time - run.end);
                }
                track.runs.push(Run { start: time, end, packets: 1 });
            }
        }
    }

    fn finish(mut self) -> Option<Track> {
        let rate = i64::from(self.track.frame_rate());
        if self.track.kind == Kind::Video {
            // Containers don't tell how long a picture lasts: the last of a run lasts as long as others do on average.
            for run in &mut self.track.runs {
                run.end = run.end + Time::from_millis(1_000 / rate);
            }
        }
        (!self.track.runs.is_empty()).then_some(self.track)
    }
}
