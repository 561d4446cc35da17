//! Whether a failed job is retried or parked, and when it is retried.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::JobKind;
use store::JobOutcome;

use crate::{JobError, JobsConfig};

/// The longest error text in the database, in characters. The rest is cut off.
const MAX_ERROR: usize = 1000;

/// The outcome of attempt number `attempt` (from 1) that failed.
pub(crate) fn after_failure(
    config: &JobsConfig,
    kind: JobKind,
    attempt: u32,
    error: &JobError,
    now: DateTime<Utc>,
) -> JobOutcome {
    let text = error.to_string().chars().take(MAX_ERROR).collect();
    if error.is_permanent() || attempt >= max_attempts(config, kind, error) {
        return JobOutcome::Parked { error: text };
    }
    let wait = backoff(config.workers.first_backoff.0, config.workers.max_backoff.0, attempt, rand::random());
    JobOutcome::RetryAt { at: now + wait, error: text }
}

/// A render that fails by itself will most likely fail again, and each attempt is expensive. A render that lacks the object
/// store, the database or the disk is retried as often as an upload.
fn max_attempts(config: &JobsConfig, kind: JobKind, error: &JobError) -> u32 {
    let waits = matches!(
        error,
        JobError::Blob(_) | JobError::Store(_) | JobError::Spool { .. } | JobError::Work { .. }
    );
    if kind == JobKind::Render && !waits {
        config.workers.max_render_attempts()
    } else {
        config.workers.max_attempts()
    }
}

/// The wait after an attempt: `first`, doubled with each attempt up to `max`. `chance` (`0.0..1.0`) selects a point of its
/// upper half, so that jobs that failed together are not retried together.
pub(crate) fn backoff(first: Duration, max: Duration, attempt: u32, chance: f64) -> Duration {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).and_then(|factor| first.checked_mul(factor));
    let longest = doubled.unwrap_or(max).min(max);
    longest / 2 + (longest / 2).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> JobsConfig {
        let mut config = JobsConfig::new(model::NodeId::default(), "spool".into());
        (config.workers.upload_max_retry, config.workers.transcoding_max_retry) = (2, 1);
        config
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
    fn the_failure_of_the_last_attempt_parks() {
        let (now, error) = (Utc::now(), JobError::Blob(blob::BlobError::Refused("403".into())));
        let outcome = |attempt| after_failure(&config(), JobKind::Upload, attempt, &error, now);
        assert!(matches!(outcome(2), JobOutcome::RetryAt { at, .. } if at > now));
        assert!(matches!(outcome(3), JobOutcome::Parked { error } if error.contains("403")));
        assert!(matches!(outcome(4), JobOutcome::Parked { .. }));
        let render = |error| after_failure(&config(), JobKind::Render, 2, error, now);
        assert!(
            matches!(render(&error), JobOutcome::RetryAt { .. }),
            "the object store failed, not the render"
        );
        let own = JobError::Render(crate::RenderError::Transient("killed".into()));
        assert!(matches!(render(&own), JobOutcome::Parked { .. }));
    }

    #[test]
    fn a_permanent_error_parks_at_once() {
        let error = JobError::FileMissing { path: "a.webm".into() };
        assert!(matches!(
            after_failure(&config(), JobKind::Upload, 1, &error, Utc::now()),
            JobOutcome::Parked { .. }
        ));
    }
}
