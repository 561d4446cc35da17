//! Asking again for what is missing (RFC 4585 §6.2.1).

use std::time::{Duration, Instant};

use rtp::SeqNo;

/// Shorter holes are mostly reordering.
const FIRST_DELAY: Duration = Duration::from_millis(30);
/// Until a round trip was measured.
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(100);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(40);
const LONGEST_INTERVAL: Duration = Duration::from_millis(500);
const MAX_TRIES: u8 = 12;
/// libwebrtc keeps sent packets for a second or three round trips; long past that nobody can resend.
const MAX_AGE: Duration = Duration::from_secs(4);
/// Of a longer outage only the newest are asked for.
const MAX_MISSING: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: SeqNo,
    since: Instant,
    due: Instant,
    asked: Option<Instant>,
    tries: u8,
}

/// The holes of one source.
#[derive(Debug, Default)]
pub(crate) struct NackList {
    /// In ascending order.
    missing: Vec<Missing>,
    /// The earliest `due`, kept so that nothing is searched per packet.
    due: Option<Instant>,
    given_up: u64,
    asked: u64,
}

impl NackList {
    /// Notes the hole of `from` up to but not with `to`, seen at `now`.
    pub(crate) fn hole(&mut self, from: SeqNo, to: SeqNo, now: Instant) {
        let room = MAX_MISSING as u64;
        let (from, to) = (from.0, to.0);
        let first = from.max(to.saturating_sub(room));
        self.given_up += first - from;
        let excess = (self.missing.len() + (to - first) as usize).saturating_sub(MAX_MISSING);
        self.given_up += excess as u64;
        self.missing.drain(..excess);
        let due = now + FIRST_DELAY;
        self.missing.extend((first..to).map(|sequence| Missing {
            sequence: SeqNo(sequence),
            since: now,
            due,
            asked: None,
            tries: 0,
        }));
        self.due = Some(self.due.map_or(due, |earliest| earliest.min(due)));
    }

    /// A packet came after all. Gives the time since it was asked for, if that was once only: a round trip.
    pub(crate) fn arrived(&mut self, sequence: SeqNo, now: Instant) -> Option<Duration> {
        if self.missing.is_empty() {
            return None;
        }
        let place = self.missing.binary_search_by_key(&sequence, |missing| missing.sequence).ok()?;
        let missing = self.missing.remove(place);
        self.schedule();
        let asked = missing.asked.filter(|_| missing.tries == 1)?;
        Some(now.saturating_duration_since(asked))
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds what has to be asked for now to `lost`, ascending.
    pub(crate) fn collect_due(&mut self, now: Instant, round_trip: Option<Duration>, lost: &mut Vec<u16>) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        // A resend that is under way mustn't be asked for again.
        let interval = round_trip
            .map_or(DEFAULT_ROUND_TRIP, |round_trip| round_trip * 3 / 2 + Duration::from_millis(10))
            .clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        let before = self.missing.len();
        self.missing.retain(|missing| {
            now < missing.due
                || (missing.tries < MAX_TRIES && now.saturating_duration_since(missing.since) < MAX_AGE)
        });
        self.given_up += (before - self.missing.len()) as u64;
        for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
            missing.asked = Some(now);
            missing.tries += 1;
            missing.due = now + interval;
            lost.push(missing.sequence.low_bits());
            self.asked += 1;
        }
        self.schedule();
    }

    /// Forgets all holes: nobody will fill them.
    pub(crate) fn clear(&mut self) {
        self.given_up += self.missing.len() as u64;
        self.missing = Vec::new();
        self.due = None;
    }

    /// How many packets will not come.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// How many times a packet was asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    fn schedule(&mut self) {
        self.due = self.missing.iter().map(|missing| missing.due).min();
    }
}

#[cfg(test)]
mod tests;
