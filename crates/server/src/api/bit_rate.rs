//! Bit rates of live sessions, from one look at their counters to the next.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use capture::SessionStatus;
use model::SessionId;

/// Between looks that are closer than this a rate says nothing.
const LEAST: Duration = Duration::from_secs(1);

/// The last looks, of sessions that are still live.
#[derive(Debug, Default)]
pub(crate) struct BitRates {
    seen: Mutex<HashMap<SessionId, Seen>>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    bytes: Vec<u64>,
    rates: Vec<u64>,
}

impl BitRates {
    /// Bits a second of each track of each session: since the last look that is a second old or older, at the first
    /// look since the session's beginning.
    pub(crate) fn look(&self, live: &[SessionStatus], now: Instant) -> Vec<Vec<u64>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = live.iter().map(|status| {
            let bytes: Vec<u64> = status.tracks.iter().map(|track| track.received.bytes).collect();
            seen.entry(status.id).or_insert_with(|| Seen::since(now, status.age)).look(bytes, now)
        });
        let rates = rates.collect();
        // A look of one tenant must not forget the sessions of another: those that are long unseen go.
        let live: HashSet<_> = live.iter().map(|status| status.id).collect();
        seen.retain(|id, one| live.contains(id) || now.duration_since(one.at) < Duration::from_secs(60));
        rates
    }
}

impl Seen {
    fn since(now: Instant, age: Duration) -> Self {
        Self { at: now.checked_sub(age).unwrap_or(now), bytes: Vec::new(), rates: Vec::new() }
    }

    fn look(&mut self, bytes: Vec<u64>, now: Instant) -> Vec<u64> {
        let passed = now.duration_since(self.at);
        if passed < LEAST && !self.rates.is_empty() {
            return self.rates.clone();
        }
        let before = self.bytes.iter().copied().chain(std::iter::repeat(0));
        let rate = |bytes: u64, before: u64| {
            let bits = u128::from(bytes.saturating_sub(before)) * 8 * 1000;
            u64::try_from(bits / passed.as_millis().max(1)).unwrap_or(u64::MAX)
        };
        self.rates = bytes.iter().zip(before).map(|(&bytes, before)| rate(bytes, before)).collect();
        (self.at, self.bytes) = (now, bytes);
        self.rates.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_since_the_last_look_a_second_ago() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut seen = Seen::since(at(2_000), Duration::from_secs(2));
        assert_eq!(seen.look(vec![1_000], at(2_000)), [4_000]);
        assert_eq!(seen.look(vec![1_500], at(2_300)), [4_000], "too soon to tell");
        assert_eq!(seen.look(vec![3_000], at(4_000)), [8_000]);
        assert_eq!(seen.look(vec![3_000, 500], at(5_000)), [0, 4_000]);
    }
}
