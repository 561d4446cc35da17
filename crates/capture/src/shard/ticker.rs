//! When a shard wakes up.
//!
//! Waking for each packet costs more than the packet. So a shard that only records wakes each tick, or each few of them
//! while its sockets' buffers stay nearly empty, and drains its sockets; kernel timestamps keep the true arrival times. While a handshake is under way, and while nothing is live,
//! it waits on the sockets instead, so that answers are fast and an idle server sleeps.

use std::time::{Duration, Instant};

/// How long to wait, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// No longer than this.
    pub(crate) at_most: Duration,
    /// Whether a datagram ends the wait.
    pub(crate) on_sockets: bool,
}

/// The rhythm of a shard.
#[derive(Debug)]
pub(crate) struct Pacer {
    tick: Duration,
    /// Ticks between two drains.
    stretch: u32,
    next: Instant,
}

impl Pacer {
    /// The longest wait: counters are reported and disks are looked at even when nothing happens.
    const LONGEST: Duration = Duration::from_secs(1);

    /// The shortest: a timer that stays due must not make the thread spin.
    const SHORTEST: Duration = Duration::from_millis(1);

    /// The most ticks between two drains.
    const MAX_STRETCH: u32 = 4;

    /// Of a socket's buffer, the part that may fill between two drains before they come as often as they can, and the
    /// part below which they come less often: a burst of keyframes must still fit.
    const FULL: usize = 8;
    const EMPTY: usize = 32;

    pub(crate) fn new(tick: Duration, now: Instant) -> Self {
        Self { tick, stretch: 1, next: now }
    }

    /// A drain that was due found so many datagrams in a socket whose buffer holds `capacity`. A wake-up costs as much
    /// as a dozen packets, so it waits longer while there is room.
    pub(crate) fn note_drained(&mut self, datagrams: usize, capacity: usize) {
        if datagrams.saturating_mul(Self::FULL) >= capacity {
            self.stretch = 1;
        } else if datagrams.saturating_mul(Self::EMPTY) < capacity {
            self.stretch = (self.stretch + 1).min(Self::MAX_STRETCH);
        }
    }

    /// The next wait. `due` is the earliest timer of a session.
    pub(crate) fn wait(&mut self, now: Instant, wakeful: bool, due: Option<Instant>) -> Wait {
        if wakeful || self.tick.is_zero() {
            self.next = now;
            let at_most = due.map_or(Self::LONGEST, |due| due.saturating_duration_since(now));
            return Wait { at_most: at_most.clamp(Self::SHORTEST, Self::LONGEST), on_sockets: true };
        }
        let interval = self.tick * self.stretch;
        if self.next <= now {
            self.next += interval;
        }
        if self.next <= now {
            // Late by more than an interval: what was missed is not made up for.
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
    fn ticks_keep_their_grid_whatever_the_work_between_them_took() {
        let start = Instant::now();
        let mut pacer = Pacer::new(TICK, start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let rows = [(0, 5), (5, 5), (12, 3), (15, 5), (40, 5), (46, 4)];
        // The last: woken early by a command.
        let rows = rows.into_iter().chain([(48, 2), (49, 1), (50, 5)]);
        for (now, wait) in rows {
            let wanted = Wait { at_most: Duration::from_millis(wait), on_sockets: false };
            assert_eq!(pacer.wait(at(now), false, None), wanted, "at {now} ms");
        }
    }

    #[test]
    fn drains_are_rarer_while_the_buffer_stays_nearly_empty_and_frequent_once_it_fills() {
        let start = Instant::now();
        let mut pacer = Pacer::new(TICK, start);
        let mut at = start;
        let mut wait = |pacer: &mut Pacer| {
            let wait = pacer.wait(at, false, None).at_most;
            at += wait;
            wait.as_millis()
        };
        let mut waits = Vec::new();
        // A buffer for 90 datagrams: the kernel's usual limit.
        for datagrams in [0, 1, 2, 2, 2, 3, 11, 12, 3, 2, 0] {
            pacer.note_drained(datagrams, 90);
            waits.push(wait(&mut pacer));
        }
        assert_eq!(waits, [10, 15, 20, 20, 20, 20, 20, 5, 5, 10, 15]);
    }

    #[test]
    fn a_handshake_makes_it_wait_on_the_sockets_until_the_next_timer() {
        let start = Instant::now();
        let mut pacer = Pacer::new(TICK, start);
        let due = start + Duration::from_millis(70);
        let wanted = Wait { at_most: Duration::from_millis(70), on_sockets: true };
        assert_eq!(pacer.wait(start, true, Some(due)), wanted);
        assert_eq!(pacer.wait(start, true, None).at_most, Pacer::LONGEST);
        assert_eq!(pacer.wait(start, true, Some(start)).at_most, Pacer::SHORTEST);
        assert!(pacer.is_due(start));
    }
}
