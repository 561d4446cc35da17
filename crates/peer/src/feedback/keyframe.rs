//! Keyframe requests (PLI or FIR), limited in rate.

use std::time::{Duration, Instant};

/// The shortest time between two requests to a source. A keyframe costs the bits of several frames.
const INTERVAL: Duration = Duration::from_millis(500);

/// The requests to one source.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    last: Option<Instant>,
    /// When the next request is to be sent.
    due: Option<Instant>,
    sent: u64,
}

impl KeyframeRequests {
    /// Requests a keyframe: now, or as soon as the rate limit allows.
    pub(crate) fn request(&mut self, now: Instant) {
        let allowed = self.last.map_or(now, |last| (last + INTERVAL).max(now));
        self.due.get_or_insert(allowed);
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns whether a request is to be sent now, and counts it as sent.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let take = self.due.is_some_and(|due| due <= now);
        if take {
            self.due = None;
            self.last = Some(now);
            self.sent += 1;
        }
        take
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn requests_are_sent_at_once_but_at_least_half_a_second_apart() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut requests = KeyframeRequests::default();
        assert!(!requests.take(at(0)));
        requests.request(at(0));
        assert!(requests.take(at(0)));
        for time in [10, 100, 300] {
            requests.request(at(time));
            assert_eq!(requests.due(), Some(at(500)));
            assert!(!requests.take(at(time)));
        }
        assert!(requests.take(at(500)));
        assert_eq!((requests.due(), requests.sent()), (None, 2));
    }
}
