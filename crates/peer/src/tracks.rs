//! The tracks of a session: sections that send to us, or have sent.

use std::collections::VecDeque;

use crate::{
    PeerEvent, Track, TrackId,
    sdp::{MediaSection, Section, Session},
};

/// Ended tracks whose counters are retained. A bound, because a client may renegotiate without end.
const MAX_ENDED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    /// By its direction.
    Paused,
    /// All its sources said BYE.
    Silenced,
    Ended,
}

#[derive(Debug, Clone)]
struct Entry {
    track: Track,
    state: State,
}

/// The tracks of a session.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    entries: Vec<Entry>,
    next_id: u32,
    /// In the order of the session's sections.
    by_section: Vec<Option<TrackId>>,
}

impl Tracks {
    /// The track of the section at an index.
    pub(crate) fn of_section(&self, index: usize) -> Option<TrackId> {
        self.by_section.get(index).copied().flatten()
    }

    /// All tracks, ended ones included while their counters are retained.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TrackId> {
        self.entries.iter().map(|entry| entry.track.id)
    }

    /// Applies a newly negotiated session and reports the changes.
    pub(crate) fn apply(&mut self, session: &Session, events: &mut VecDeque<PeerEvent>) {
        for entry in self.entries.iter_mut().filter(|entry| entry.state != State::Ended) {
            let section = session.sections.iter().find(|section| section.mid == entry.track.mid);
            let media = section.and_then(Section::media).filter(|media| media.kind == entry.track.kind);
            if media.is_none() {
                entry.state = State::Ended;
                events.push_back(PeerEvent::TrackEnded(entry.track.id));
            }
        }
        self.by_section =
            session.sections.iter().map(|section| self.apply_section(section, events)).collect();
        let ended = self.entries.iter().filter(|entry| entry.state == State::Ended).count();
        for _ in MAX_ENDED..ended {
            if let Some(oldest) = self.entries.iter().position(|entry| entry.state == State::Ended) {
                self.entries.remove(oldest);
            }
        }
    }

    fn apply_section(&mut self, section: &Section, events: &mut VecDeque<PeerEvent>) -> Option<TrackId> {
        let media = section.media()?;
        let known = self
            .entries
            .iter_mut()
            .find(|entry| entry.state != State::Ended && entry.track.mid == section.mid);
        let Some(entry) = known else {
            return media.sends.then(|| self.add(section, media, events));
        };
        let track = track(entry.track.id, section, media);
        if entry.track != track {
            entry.track = track.clone();
            events.push_back(PeerEvent::TrackChanged(track));
        }
        match (media.sends, entry.state) {
            (false, State::Sending) => {
                entry.state = State::Paused;
                events.push_back(PeerEvent::TrackPaused(entry.track.id));
            }
            (false, State::Silenced) => entry.state = State::Paused,
            (true, State::Paused) => {
                entry.state = State::Sending;
                events.push_back(PeerEvent::TrackResumed(entry.track.id));
            }
            _ => {}
        }
        Some(entry.track.id)
    }

    fn add(&mut self, section: &Section, media: &MediaSection, events: &mut VecDeque<PeerEvent>) -> TrackId {
        let id = TrackId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let track = track(id, section, media);
        self.entries.push(Entry { track: track.clone(), state: State::Sending });
        events.push_back(PeerEvent::TrackAdded(track));
        id
    }

    /// Pauses a track whose sources have all said BYE. libwebrtc says BYE also when an encoding is switched off, and may
    /// continue with the same source later.
    pub(crate) fn silence(&mut self, id: TrackId, events: &mut VecDeque<PeerEvent>) {
        if let Some(entry) = self.find(id).filter(|entry| entry.state == State::Sending) {
            entry.state = State::Silenced;
            events.push_back(PeerEvent::TrackPaused(id));
        }
    }

    /// Resumes a track whose sources had said BYE: one of them sends again.
    pub(crate) fn resume(&mut self, id: TrackId, events: &mut VecDeque<PeerEvent>) {
        if let Some(entry) = self.find(id).filter(|entry| entry.state == State::Silenced) {
            entry.state = State::Sending;
            events.push_back(PeerEvent::TrackResumed(id));
        }
    }

    fn find(&mut self, id: TrackId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.track.id == id)
    }
}

fn track(id: TrackId, section: &Section, media: &MediaSection) -> Track {
    Track {
        id,
        mid: section.mid.clone(),
        kind: media.kind,
        formats: media.formats.iter().map(|format| format.payload.clone()).collect(),
        rids: media.rids.clone(),
    }
}
