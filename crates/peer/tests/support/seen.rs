//! Views of the peer's events for tests.

use std::collections::HashMap;

use peer::{CloseReason, LayerId, PeerEvent, RtpPacket, Track, TrackId};

use super::World;

impl World {
    pub fn tracks(&self) -> Vec<Track> {
        self.events
            .iter()
            .filter_map(|(_, event)| match event {
                PeerEvent::TrackAdded(track) => Some(track.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn rtp(&self) -> impl Iterator<Item = (TrackId, LayerId, &RtpPacket)> {
        self.events.iter().filter_map(|(_, event)| match event {
            PeerEvent::Rtp { track, layer, packet, .. } => Some((*track, *layer, packet)),
            _ => None,
        })
    }

    pub fn closed(&self) -> Option<&CloseReason> {
        self.events.iter().find_map(|(_, event)| match event {
            PeerEvent::Closed(reason) => Some(reason),
            _ => None,
        })
    }

    pub fn events_but_rtp(&self) -> Vec<&PeerEvent> {
        self.events
            .iter()
            .map(|(_, event)| event)
            .filter(|event| !matches!(event, PeerEvent::Rtp { .. } | PeerEvent::SenderReport { .. }))
            .collect()
    }

    /// Panics unless each of these packets was received exactly once.
    pub fn assert_complete(&self, expected: &HashMap<(TrackId, LayerId), std::ops::Range<u64>>) {
        let mut seen: HashMap<(TrackId, LayerId), Vec<u64>> = HashMap::new();
        for (track, layer, packet) in self.rtp() {
            let sequence = u64::from_be_bytes(packet.payload[..8].try_into().unwrap());
            assert_eq!(sequence as u16, packet.sequence_number);
            seen.entry((track, layer)).or_default().push(sequence);
        }
        for (stream, range) in expected {
            let mut sequences = seen.remove(stream).unwrap_or_default();
            sequences.sort_unstable();
            let missing: Vec<u64> =
                range.clone().filter(|sequence| sequences.binary_search(sequence).is_err()).collect();
            assert!(missing.is_empty(), "missing of {stream:?}: {missing:?}");
            assert_eq!(sequences.len() as u64, range.end - range.start, "duplicates in {stream:?}");
        }
        assert!(seen.is_empty(), "unexpected streams {:?}", seen.keys());
    }
}
