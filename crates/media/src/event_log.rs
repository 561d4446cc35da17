//! Limits the log events of a session.
//!
//! The recorder logs changes of state and media that is given up, at debug level. A hostile sender can cause such
//! changes with each packet, so the number of events a second is bounded. The events are in the span of the recorder's
//! owner, which names the session.

use std::time::{Duration, Instant};

/// The most events of a session in a second. Those beyond are counted and left out.
const EVENTS_PER_SECOND: u32 = 100;

/// Decides which events of a session are logged.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventLog {
    muted: bool,
    second_began: Option<Instant>,
    events: u32,
    omitted: u64,
}

impl EventLog {
    /// Logs nothing from now on: for a copy of the recorder whose events were or will be logged by the original.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    /// Returns whether an event may be logged now, and counts it.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        if self.muted {
            return false;
        }
        let same_second = self
            .second_began
            .is_some_and(|began| now.saturating_duration_since(began) < Duration::from_secs(1));
        if !same_second {
            self.second_began = Some(now);
            self.events = 0;
            let omitted = std::mem::take(&mut self.omitted);
            if omitted > 0 {
                tracing::debug!(omitted, "log events left out");
            }
        }
        self.events = self.events.saturating_add(1);
        let admitted = self.events <= EVENTS_PER_SECOND;
        self.omitted += u64::from(!admitted);
        admitted
    }
}

/// Logs an event unless the limit is reached. The first argument is a
/// [`SessionContext`](crate::context::SessionContext).
macro_rules! log_event {
    ($context:expr, $($fields:tt)+) => {
        if tracing::enabled!(tracing::Level::DEBUG) && $context.log.admits($context.now) {
            tracing::debug!($($fields)+);
        }
    };
}
pub(crate) use log_event;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_limit_of_a_second_are_left_out() {
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
        let start = Instant::now();
        let mut log = EventLog::default();
        let admitted = (0..1_000).filter(|_| log.admits(start)).count();
        assert_eq!(admitted, EVENTS_PER_SECOND as usize);
        assert_eq!(log.omitted, 1_000 - u64::from(EVENTS_PER_SECOND));
        assert!(log.admits(start + Duration::from_secs(1)));
        assert_eq!(log.omitted, 0);
    }

    #[test]
    fn a_muted_log_admits_nothing() {
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
        let now = Instant::now();
        let mut log = EventLog::default();
        log.mute();
        assert!(!log.admits(now));
    }
}
