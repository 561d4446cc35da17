//! The resending of flights (RFC 6347 §4.2.4).
//!
//! OpenSSL's own timer reads the system's clock, and it never resends a final flight by itself. So its timer is disabled, and
//! we send the last flight again unchanged. The client accepts the records that it has not received, and drops the others
//! as replays.

use std::time::{Duration, Instant};

use bytes::Bytes;

const FIRST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3);
/// A client that did not receive the final flight repeats its own, which the engine answers. These resends only save the
/// client's first timers.
const FINAL_RESENDS: u32 = 6;

#[derive(Debug)]
pub(super) struct Flight {
    datagrams: Vec<Bytes>,
    is_final: bool,
    sent_at: Option<Instant>,
    due: Option<Instant>,
    interval: Duration,
    resends: u32,
}

impl Flight {
    pub(super) fn new() -> Self {
        Self {
            datagrams: Vec::new(),
            is_final: false,
            sent_at: None,
            due: None,
            interval: FIRST_INTERVAL,
            resends: 0,
        }
    }

    /// Notes a flight that was sent. It replaces the one before.
    pub(super) fn sent(&mut self, datagrams: Vec<Bytes>, is_final: bool, now: Instant) {
        // The engine answers a repeated Finished with new record numbers. The schedule of the resends continues.
        let again = is_final && self.is_final;
        self.datagrams = datagrams;
        self.is_final = is_final;
        if !again {
            self.sent_at = Some(now);
            self.interval = FIRST_INTERVAL;
            self.resends = 0;
            self.due = Some(now + FIRST_INTERVAL);
        }
    }

    /// Notes that the client has received the flight.
    pub(super) fn arrived(&mut self) {
        self.datagrams = Vec::new();
        self.due = None;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The datagrams to send again, if they are due.
    pub(super) fn resend(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.resends += 1;
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        self.due = Some(now + self.interval);
        let datagrams = self.datagrams.clone();
        if self.is_final && self.resends >= FINAL_RESENDS {
            self.arrived();
        }
        Some(datagrams)
    }

    /// The time since the flight was sent, unless it was sent more than once.
    pub(super) fn answered_after(&self, now: Instant) -> Option<Duration> {
        (self.resends == 0).then_some(())?;
        self.sent_at.map(|sent| now.saturating_duration_since(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_resent_at_growing_intervals_until_the_client_has_received_it() {
        let start = test_clock();
        let mut flight = Flight::new();
        flight.sent(vec![Bytes::from_static(b"hello done")], false, start);
        let mut at = Vec::new();
        while let Some(due) = flight.due().filter(|due| *due < start + Duration::from_secs(10)) {
            assert_eq!(flight.resend(due - Duration::from_millis(1)), None);
            assert_eq!(flight.resend(due).map(|datagrams| datagrams.len()), Some(1));
            at.push((due - start).as_millis());
        }
        assert_eq!(at, [100, 300, 700, 1500, 3100, 6100, 9100]);
        flight.arrived();
        assert_eq!(flight.due(), None);
    }

    #[test]
    fn the_final_flight_is_resent_only_a_few_times() {
        let start = test_clock();
        let mut flight = Flight::new();
        flight.sent(vec![Bytes::from_static(b"finished")], true, start);
        let mut resends = 0;
        while let Some(due) = flight.due() {
            resends += u32::from(flight.resend(due).is_some());
        }
        assert_eq!(resends, FINAL_RESENDS);
    }

    #[test]
    fn a_repeated_final_flight_does_not_change_the_schedule() {
        let start = test_clock();
        let mut flight = Flight::new();
        flight.sent(vec![Bytes::from_static(b"finished")], true, start);
        flight.sent(
            vec![Bytes::from_static(b"finished, new record")],
            true,
            start + Duration::from_millis(90),
        );
        assert_eq!(flight.due(), Some(start + Duration::from_millis(100)));
    }

    #[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn test_clock() -> Instant {
        Instant::now()
    }
}
