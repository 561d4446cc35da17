//! When a shard wakes up.
//!
//! A wake-up per packet costs more than the packet. So a shard that only records wakes at each tick and drains its sockets, or
//! at every few ticks while their buffers stay nearly empty. Kernel timestamps preserve the true arrival times. During a
//! handshake, and without sessions, it waits on the sockets instead: answers are fast, and an idle server sleeps.

use std::time::{Duration, Instant};

/// One wait of the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The longest wait.
    pub(crate) at_most: Duration,
    /// Whether a datagram ends it.
    pub(crate) on_sockets: bool,
}

/// The schedule of a shard's wake-ups.
#[derive(Debug)]
pub(crate) struct Ticker {
    tick: Duration,
    /// Ticks between two drains.
    stretch: u32,
    next: Instant,
}

impl Ticker {
    /// The longest wait: counters are reported and disks are checked even if nothing happens.
    const LONGEST: Duration = Duration::from_secs(1);

    /// The shortest wait: a timer that stays due must not make the thread spin.
    const SHORTEST: Duration = Duration::from_millis(1);

    /// The most ticks between two drains.
    const MAX_STRETCH: u32 = 4;

    /// A drain that finds 1/FULL of a socket's buffer makes drains as frequent as possible. One that finds less than 1/EMPTY
    /// makes them rarer. A burst of keyframes must still fit.
    const FULL: usize = 8;
    const EMPTY: usize = 32;

    pub(crate) fn new(tick: Duration, now: Instant) -> Self {
        Self { tick, stretch: 1, next: now }
    }

    /// Notes how many datagrams a drain that was due found in a socket whose buffer holds `capacity`. A wake-up costs as much
    /// as a dozen packets, so waits are longer while the buffer has room.
    pub(crate) fn note_drained(&mut self, datagrams: usize, capacity: usize) {
        if datagrams.saturating_mul(Self::FULL) >= capacity {
            self.stretch = 1;
        } else if datagrams.saturating_mul(Self::EMPTY) < capacity {
            self.stretch = (self.stretch + 1).min(Self::MAX_STRETCH);
        }
    }

    /// The next wait. `on_sockets`: datagrams must end it. `due` is the earliest timer of a session.
    pub(crate) fn wait(&mut self, now: Instant, on_sockets: bool, due: Option<Instant>) -> Wait {
        if on_sockets || self.tick.is_zero() {
            self.next = now;
            let at_most = due.map_or(Self::LONGEST, |due| due.saturating_duration_since(now));
            return Wait { at_most: at_most.clamp(Self::SHORTEST, Self::LONGEST), on_sockets: true };
        }
        let interval = self.tick * self.stretch;
        if self.next <= now {
            self.next += interval;
        }
        if self.next <= now {
            // Late by more than an interval: missed ticks are not repeated.
            self.next = now + interval;
        }
        Wait { at_most: self.next - now, on_sockets: false }
    }

    /// Whether it is time to drain the sockets.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(5);

    #[test]
    fn ticks_stay_on_their_grid_for_any_duration_of_the_work_between_them() {
        let start = Instant::now();
        let mut ticker = Ticker::new(TICK, start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let rows = [(0, 5), (5, 5), (12, 3), (15, 5), (40, 5), (46, 4)];
        // A command wakes it early.
        let rows = rows.into_iter().chain([(48, 2), (49, 1), (50, 5)]);
        for (now, wait) in rows {
            let expected = Wait { at_most: Duration::from_millis(wait), on_sockets: false };
            assert_eq!(ticker.wait(at(now), false, None), expected, "at {now} ms");
        }
    }

    #[test]
    fn drains_are_rare_while_the_buffer_is_nearly_empty_and_frequent_once_it_fills() {
        let start = Instant::now();
        let mut ticker = Ticker::new(TICK, start);
        let mut at = start;
        let mut wait = |ticker: &mut Ticker| {
            let wait = ticker.wait(at, false, None).at_most;
            at += wait;
            wait.as_millis()
        };
        let mut waits = Vec::new();
        // A buffer of 90 datagrams: the kernel's usual limit.
        for datagrams in [0, 1, 2, 2, 2, 3, 11, 12, 3, 2, 0] {
            ticker.note_drained(datagrams, 90);
            waits.push(wait(&mut ticker));
        }
        assert_eq!(waits, [10, 15, 20, 20, 20, 20, 20, 5, 5, 10, 15]);
    }

    #[test]
    fn during_a_handshake_it_waits_on_the_sockets_until_the_next_timer() {
        let start = Instant::now();
        let mut ticker = Ticker::new(TICK, start);
        let due = start + Duration::from_millis(70);
        let expected = Wait { at_most: Duration::from_millis(70), on_sockets: true };
        assert_eq!(ticker.wait(start, true, Some(due)), expected);
        assert_eq!(ticker.wait(start, true, None).at_most, Ticker::LONGEST);
        assert_eq!(ticker.wait(start, true, Some(start)).at_most, Ticker::SHORTEST);
        assert!(ticker.is_due(start));
    }
}
