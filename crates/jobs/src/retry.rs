//! When a job that failed is run again, and when no more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::JobKind;
use store::JobOutcome;

use crate::{JobError, JobsConfig};

/// The longest text of an error that goes into the database, in characters.
const MAX_ERROR: usize = 1000;

/// What follows a failure of run number `attempt` (from 1).
pub(crate) fn after_failure(
    config: &JobsConfig,
    kind: JobKind,
    attempt: u32,
    error: &JobError,
    now: DateTime<Utc>,
) -> JobOutcome {
    let text = error.to_string().chars().take(MAX_ERROR).collect();
    if error.is_permanent() || attempt >= most_attempts(config, kind, error) {
        return JobOutcome::Parked { error: text };
    }
    let wait = backoff(config.first_backoff, config.max_backoff, attempt, rand::random());
    JobOutcome::RetryAt { at: now + wait, error: text }
}

/// A render that fails by itself will most likely do so again, and costs much. One that lacks the object store, the
/// database or a disk waits for it as long as an upload does.
fn most_attempts(config: &JobsConfig, kind: JobKind, error: &JobError) -> u32 {
    let waits = matches!(
        error,
        JobError::Blob(_) | JobError::Store(_) | JobError::Spool { .. } | JobError::Work { .. }
    );
    if kind == JobKind::Render && !waits { config.render_max_attempts } else { config.max_attempts }
}

/// `first`, doubled with each attempt up to `max`, of which a half is left to chance (`0.0..1.0`): jobs that failed
/// together shall not come back together.
pub(crate) fn backoff(first: Duration, max: Duration, attempt: u32, chance: f64) -> Duration {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).and_then(|factor| first.checked_mul(factor));
    let longest = doubled.unwrap_or(max).min(max);
    longest / 2 + (longest / 2).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> JobsConfig {
        let defaults = JobsConfig::new(model::NodeId::default(), "spool".into());
        JobsConfig { max_attempts: 3, render_max_attempts: 2, ..defaults }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let cases = [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (33, 300), (u32::MAX, 300)];
        for (attempt, seconds) in cases {
            assert_eq!(backoff(first, max, attempt, 1.0), Duration::from_secs(seconds), "{attempt}");
            assert_eq!(backoff(first, max, attempt, 0.0), Duration::from_secs(seconds) / 2, "{attempt}");
        }
    }

    #[test]
    fn the_last_failure_parks() {
        let (now, error) = (Utc::now(), JobError::Blob(blob::BlobError::Refused("403".into())));
        let outcome = |attempt| after_failure(&config(), JobKind::Upload, attempt, &error, now);
        assert!(matches!(outcome(2), JobOutcome::RetryAt { at, .. } if at > now));
        assert!(matches!(outcome(3), JobOutcome::Parked { error } if error.contains("403")));
        assert!(matches!(outcome(4), JobOutcome::Parked { .. }));
        let render = |error| after_failure(&config(), JobKind::Render, 2, error, now);
        assert!(matches!(render(&error), JobOutcome::RetryAt { .. }), "it is the object store's fault");
        let own = JobError::Render(crate::RenderError::Transient("killed".into()));
        assert!(matches!(render(&own), JobOutcome::Parked { .. }));
    }

    #[test]
    fn what_can_not_get_better_parks_at_once() {
        let error = JobError::FileMissing { path: "a.webm".into() };
        assert!(matches!(
            after_failure(&config(), JobKind::Upload, 1, &error, Utc::now()),
            JobOutcome::Parked { .. }
        ));
    }
}
