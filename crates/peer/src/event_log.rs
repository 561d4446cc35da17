//! Log events of one session, limited in number.
//!
//! The peer logs changes of state and media that is given up, at debug level. A hostile client can cause such changes
//! with each packet, so the number of events a second is bounded.

use std::time::{Duration, Instant};

/// The most events of a session in a second. Those beyond are counted and left out.
const EVENTS_PER_SECOND: u32 = 100;

/// Decides which events of a session are logged.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    pub(crate) session_id: String,
    second_began: Option<Instant>,
    events: u32,
    omitted: u64,
}

impl EventLog {
    pub(crate) fn new(session_id: String) -> Self {
        Self { session_id, ..Self::default() }
    }

    /// Returns whether an event may be logged now, and counts it.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        let same_second = self
            .second_began
            .is_some_and(|began| now.saturating_duration_since(began) < Duration::from_secs(1));
        if !same_second {
            self.second_began = Some(now);
            self.events = 0;
            let omitted = std::mem::take(&mut self.omitted);
            if omitted > 0 {
                tracing::debug!(session_id = %self.session_id, omitted, "log events left out");
            }
        }
        self.events = self.events.saturating_add(1);
        let admitted = self.events <= EVENTS_PER_SECOND;
        self.omitted += u64::from(!admitted);
        admitted
    }
}

/// Logs an event with the session's id, unless the limit is reached. The first argument is an [`EventLog`].
macro_rules! log_event {
    ($log:expr, $now:expr, $($fields:tt)+) => {
        if tracing::enabled!(tracing::Level::DEBUG) && $log.admits($now) {
            tracing::debug!(session_id = %$log.session_id, $($fields)+);
        }
    };
}
pub(crate) use log_event;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_limit_of_a_second_are_left_out() {
        #[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
        let start = Instant::now();
        let mut log = EventLog::default();
        let admitted = (0..1_000).filter(|_| log.admits(start)).count();
        assert_eq!(admitted, EVENTS_PER_SECOND as usize);
        assert_eq!(log.omitted, 1_000 - u64::from(EVENTS_PER_SECOND));
        assert!(log.admits(start + Duration::from_secs(1)));
        assert_eq!(log.omitted, 0);
    }
}
