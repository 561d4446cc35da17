//! When a shard wakes up.
//!
//! Waking for each packet costs more than the packet. So a shard that only records wakes each tick and drains its
//! sockets; kernel timestamps keep the true arrival times. While a handshake is under way, and while nothing is live,
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
    next: Instant,
}

impl Pacer {
    /// The longest wait: counters are reported and disks are looked at even when nothing happens.
    const LONGEST: Duration = Duration::from_secs(1);

    /// The shortest: a timer that stays due must not make the thread spin.
    const SHORTEST: Duration = Duration::from_millis(1);

    pub(crate) fn new(tick: Duration, now: Instant) -> Self {
        Self { tick, next: now }
    }

    /// The next wait. `due` is the earliest timer of a session.
    pub(crate) fn wait(&mut self, now: Instant, wakeful: bool, due: Option<Instant>) -> Wait {
        if wakeful || self.tick.is_zero() {
            self.next = now;
            let at_most = due.map_or(Self::LONGEST, |due| due.saturating_duration_since(now));
            return Wait { at_most: at_most.clamp(Self::SHORTEST, Self::LONGEST), on_sockets: true };
        }
        if self.next <= now {
            self.next += self.tick;
        }
        if self.next <= now {
            // Late by more than a tick: ticks that were missed are not made up for.
            self.next = now + self.tick;
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
