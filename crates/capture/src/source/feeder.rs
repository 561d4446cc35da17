//! What a source sends, on its way into the recorder.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use media::{Anchor, AudioChunk, AudioError, AudioFormat, Input, PushedAudio, TrackConfig};
use model::{EndReason, SessionId};
use rtp::{LayerId, MediaKind, RtpPacket, SenderReport, TrackId};
use tracing::{debug, info, warn};

use crate::session::{
    Feeder, FeederStatistics,
    file_recorder::FileRecorder,
    state::Event,
    statistics::{SessionDrops, TrackStatus},
};

/// A file has no more track numbers.
const MAX_TRACKS: usize = 126;

/// One message of a source to its session.
#[derive(Debug)]
pub(super) enum SourceInput {
    /// Adds a track that sends RTP.
    Track(TrackConfig),
    /// Adds a track that is pushed.
    Audio {
        track: TrackId,
        name: String,
        format: AudioFormat,
    },
    Rtp {
        track: TrackId,
        arrival: Instant,
        packet: RtpPacket,
    },
    SenderReport {
        track: TrackId,
        arrival: Instant,
        report: SenderReport,
    },
    Chunk {
        track: TrackId,
        chunk: AudioChunk,
    },
    EndTrack(TrackId),
    /// Ends the session.
    Finish(EndReason),
}

/// What a source's handle and its session share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The audio error that ended the session.
    pub(super) refused: OnceLock<AudioError>,
    /// Packets that found the queue full.
    dropped: AtomicU64,
}

impl Shared {
    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Packets that found the queue full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Feeds a session with the messages of its source.
pub(super) struct SourceFeeder {
    id: SessionId,
    tracks: BTreeMap<TrackId, Track>,
    shared: Arc<Shared>,
    /// The input that [`feed`](Feeder::feed) records next.
    next: Option<SourceInput>,
    has_media: bool,
}

struct Track {
    name: String,
    /// Of a pushed track.
    audio: Option<PushedAudio>,
    /// Payload bytes received.
    bytes: u64,
}

impl SourceFeeder {
    pub(super) fn new(id: SessionId, shared: Arc<Shared>) -> Self {
        Self { id, tracks: BTreeMap::new(), shared, next: None, has_media: false }
    }

    /// Takes an input, which the session's next pump records.
    pub(super) fn take(&mut self, input: SourceInput) {
        debug_assert!(self.next.is_none(), "the session is pumped after each input");
        self.next = Some(input);
    }

    fn count(&mut self, track: TrackId, bytes: usize) {
        if let Some(known) = self.tracks.get_mut(&track) {
            known.bytes += bytes as u64;
            if !std::mem::replace(&mut self.has_media, true) {
                debug!(session_id = %self.id, track = known.name, "first media");
            }
        }
    }

    fn add_track(
        &mut self,
        track: TrackConfig,
        audio: Option<PushedAudio>,
        recorder: &mut FileRecorder,
        now: Instant,
    ) {
        if self.tracks.len() >= MAX_TRACKS && !self.tracks.contains_key(&track.id) {
            warn!(session_id = %self.id, track = track.id.0, limit = MAX_TRACKS, "track refused: too many");
            return;
        }
        let bytes = self.tracks.get(&track.id).map_or(0, |known| known.bytes);
        self.tracks.insert(track.id, Track { name: track.name.clone(), audio, bytes });
        recorder.push(Input::AddTrack { track, at: now });
    }

    /// Ends the session because of audio that can't be used. The audio before it is recorded.
    fn refuse(&self, error: AudioError) -> Option<Event> {
        info!(session_id = %self.id, %error, "unusable audio ends the session");
        let _ = self.shared.refused.set(error);
        Some(Event::Stop(EndReason::InvalidMedia))
    }

    fn push(
        &mut self,
        track: TrackId,
        chunk: AudioChunk,
        recorder: &mut FileRecorder,
        now: Instant,
    ) -> Option<Event> {
        let audio = self.tracks.get_mut(&track)?.audio.as_mut()?;
        let pushed = audio.push(chunk);
        move_frames(track, audio, recorder, now);
        pushed.err().and_then(|error| self.refuse(error))
    }

    fn flush_track(&mut self, track: TrackId, recorder: &mut FileRecorder, now: Instant) {
        if let Some(audio) = self.tracks.get_mut(&track).and_then(|track| track.audio.as_mut()) {
            audio.flush();
            move_frames(track, audio, recorder, now);
        }
    }
}

/// Moves the complete blocks of a pushed track to the recorder.
fn move_frames(track: TrackId, audio: &mut PushedAudio, recorder: &mut FileRecorder, now: Instant) {
    while let Some(frame) = audio.pop() {
        recorder.push(Input::Frame { track, at: now, time: frame.time, data: frame.data });
    }
}

impl Feeder for SourceFeeder {
    fn feed(&mut self, recorder: &mut FileRecorder, now: Instant) -> Option<Event> {
        match self.next.take()? {
            SourceInput::Finish(reason) => return Some(Event::Stop(reason)),
            SourceInput::Track(track) => self.add_track(track, None, recorder, now),
            SourceInput::Audio { track: id, name, format } => match PushedAudio::new(format) {
                Ok(audio) => {
                    let formats = vec![format.payload_format()];
                    let kind = MediaKind::Audio;
                    let track = TrackConfig { id, name, kind, formats, anchor: Anchor::Arrival };
                    self.add_track(track, Some(audio), recorder, now);
                }
                Err(error) => return self.refuse(error),
            },
            SourceInput::Rtp { track, arrival, packet } => {
                self.count(track, packet.payload.len());
                recorder.push(Input::Rtp { track, layer: LayerId(0), arrival: arrival.min(now), packet });
            }
            SourceInput::SenderReport { track, arrival, report } => {
                let (layer, arrival) = (LayerId(0), arrival.min(now));
                recorder.push(Input::SenderReport { track, layer, arrival, report });
            }
            SourceInput::Chunk { track, chunk } => {
                self.count(track, chunk.data.len());
                return self.push(track, chunk, recorder, now);
            }
            SourceInput::EndTrack(track) => {
                self.flush_track(track, recorder, now);
                recorder.push(Input::EndTrack { track, at: now });
            }
        }
        None
    }

    fn flush(&mut self, recorder: &mut FileRecorder, now: Instant) {
        for (&id, track) in &mut self.tracks {
            if let Some(audio) = &mut track.audio {
                audio.flush();
                move_frames(id, audio, recorder, now);
            }
        }
    }

    /// These sources send audio, which has no keyframes.
    fn request_keyframe(&mut self, _: TrackId, _: LayerId, _: Instant) {}

    /// The handle learns the session's end from its closed queue.
    fn close(&mut self, _: Instant) {}

    fn due(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn statistics(&self, recorder: &media::Statistics) -> FeederStatistics {
        let of_track = |(id, recorded): &(TrackId, media::TrackStatistics)| {
            let (name, bytes) =
                self.tracks.get(id).map(|track| (track.name.clone(), track.bytes)).unwrap_or_default();
            let (packets, lost) = (recorded.packets, recorded.lost);
            let received = peer::TrackStatistics { packets, bytes, lost, ..Default::default() };
            TrackStatus { name, recorded: recorded.clone(), received }
        };
        FeederStatistics {
            tracks: recorder.tracks.iter().map(of_track).collect(),
            drops: SessionDrops { queue_full: self.shared.dropped(), ..SessionDrops::default() },
        }
    }
}
