//! Bit rates of live sessions, from the change of their byte counters between two reads.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use capture::SessionStatus;
use model::SessionId;

/// Reads closer together than this return the previous rates: the difference would be too small to be a rate.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The last read of each live session.
#[derive(Debug, Default)]
pub(crate) struct BitRates {
    reads: Mutex<HashMap<SessionId, Read>>,
}

#[derive(Debug)]
struct Read {
    at: Instant,
    bytes: Vec<u64>,
    rates: Vec<u64>,
}

impl BitRates {
    /// Bits per second of each track of each session: since the last read at least a second ago, at the first read since
    /// the session began.
    pub(crate) fn rates(&self, live: &[SessionStatus], now: Instant) -> Vec<Vec<u64>> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = live.iter().map(|status| {
            let bytes: Vec<u64> = status.tracks.iter().map(|track| track.received.bytes).collect();
            reads.entry(status.id).or_insert_with(|| Read::since(now, status.age)).rates(bytes, now)
        });
        let rates = rates.collect();
        // `live` has the sessions of one tenant only, so sessions of others are dropped by age.
        let live: HashSet<_> = live.iter().map(|status| status.id).collect();
        reads.retain(|id, one| live.contains(id) || now.duration_since(one.at) < Duration::from_secs(60));
        rates
    }
}

impl Read {
    fn since(now: Instant, age: Duration) -> Self {
        Self { at: now.checked_sub(age).unwrap_or(now), bytes: Vec::new(), rates: Vec::new() }
    }

    fn rates(&mut self, bytes: Vec<u64>, now: Instant) -> Vec<u64> {
        let passed = now.duration_since(self.at);
        if passed < MIN_INTERVAL && !self.rates.is_empty() {
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
    fn a_rate_is_measured_since_the_last_read_at_least_a_second_ago() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut read = Read::since(at(2_000), Duration::from_secs(2));
        assert_eq!(read.rates(vec![1_000], at(2_000)), [4_000]);
        assert_eq!(read.rates(vec![1_500], at(2_300)), [4_000], "read again too soon");
        assert_eq!(read.rates(vec![3_000], at(4_000)), [8_000]);
        assert_eq!(read.rates(vec![3_000, 500], at(5_000)), [0, 4_000]);
    }
}
