//! Requests for missing packets (RFC 4585 §6.2.1). A packet is requested until the recorder gives its hole up: one that
//! arrives later could not be used.

use std::time::{Duration, Instant};

use rtp::SeqNo;

/// A shorter hole is mostly reordering.
const FIRST_DELAY: Duration = Duration::from_millis(30);
/// Until a round trip was measured.
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(100);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(40);
const LONGEST_INTERVAL: Duration = Duration::from_millis(500);
/// The most requests for one packet. A sender that has answered none of them has dropped the packet.
const MAX_REQUESTS: u8 = 12;
/// Of a longer outage only the newest packets are requested.
const MAX_MISSING: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Missing {
    seq: SeqNo,
    /// When the packet behind the hole arrived.
    since: Instant,
    due: Instant,
    requested_at: Option<Instant>,
    requests: u8,
}

/// Missing packets that are not requested any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) first: SeqNo,
    pub(crate) count: u64,
}

/// The missing packets of one source.
#[derive(Debug)]
pub(crate) struct NackList {
    /// How long a packet is requested, from when its hole was seen.
    max_wait: Duration,
    /// In ascending order.
    missing: Vec<Missing>,
    /// The earliest `due`, cached so that nothing is searched per packet.
    due: Option<Instant>,
    given_up: u64,
    requested: u64,
}

impl NackList {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self { max_wait, missing: Vec::new(), due: None, given_up: 0, requested: 0 }
    }

    /// Adds the hole from `from` up to but not including `to`. The packet behind it arrived at `arrival`.
    pub(crate) fn add_hole(&mut self, from: SeqNo, to: SeqNo, arrival: Instant, now: Instant) {
        let room = MAX_MISSING as u64;
        let (from, to) = (from.0, to.0);
        let first = from.max(to.saturating_sub(room));
        self.given_up += first - from;
        let excess = (self.missing.len() + (to - first) as usize).saturating_sub(MAX_MISSING);
        self.given_up += excess as u64;
        self.missing.drain(..excess);
        let due = now + FIRST_DELAY;
        self.missing.extend((first..to).map(|seq| Missing {
            seq: SeqNo(seq),
            since: arrival,
            due,
            requested_at: None,
            requests: 0,
        }));
        self.due = Some(self.due.map_or(due, |earliest| earliest.min(due)));
    }

    /// Removes a packet that arrived after all. Returns the time since its request, if there was exactly one: a round
    /// trip.
    pub(crate) fn remove(&mut self, seq: SeqNo, now: Instant) -> Option<Duration> {
        if self.missing.is_empty() {
            return None;
        }
        let index = self.missing.binary_search_by_key(&seq, |missing| missing.seq).ok()?;
        let missing = self.missing.remove(index);
        self.schedule();
        let requested_at = missing.requested_at.filter(|_| missing.requests == 1)?;
        Some(now.saturating_duration_since(requested_at))
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the packets to request now to `lost`, ascending. Returns those that were given up.
    pub(crate) fn collect_due(
        &mut self,
        now: Instant,
        round_trip: Option<Duration>,
        lost: &mut Vec<u16>,
    ) -> Option<GivenUp> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        // A packet whose resend is under way must not be requested again.
        let interval = round_trip
            .map_or(DEFAULT_ROUND_TRIP, |round_trip| round_trip * 3 / 2 + Duration::from_millis(10))
            .clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        let max_wait = self.max_wait;
        let mut given_up: Option<GivenUp> = None;
        self.missing.retain(|missing| {
            let waits =
                now < missing.since + max_wait && (now < missing.due || missing.requests < MAX_REQUESTS);
            if !waits {
                given_up.get_or_insert(GivenUp { first: missing.seq, count: 0 }).count += 1;
            }
            waits
        });
        self.given_up += given_up.map_or(0, |given_up| given_up.count);
        for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
            missing.requested_at = Some(now);
            missing.requests += 1;
            missing.due = (now + interval).min(missing.since + max_wait);
            lost.push(missing.seq.low_bits());
            self.requested += 1;
        }
        self.schedule();
        given_up
    }

    /// Gives all missing packets up: the source has ended.
    pub(crate) fn clear(&mut self) {
        self.given_up += self.missing.len() as u64;
        self.missing = Vec::new();
        self.due = None;
    }

    /// Packets that were given up.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Requests, repeated ones included.
    pub(crate) fn requested(&self) -> u64 {
        self.requested
    }

    fn schedule(&mut self) {
        self.due = self.missing.iter().map(|missing| missing.due).min();
    }
}

#[cfg(test)]
mod tests;
