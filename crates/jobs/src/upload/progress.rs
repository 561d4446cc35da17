//! The progress of an upload job.

use std::time::Duration;

use model::{Progress, Recording};
use store::{LeasedJob, StoreError};
use tokio::{sync::watch, time::Instant};

use crate::context::Context;

/// The shortest interval between two commits of progress.
const INTERVAL: Duration = Duration::from_secs(1);

/// Commits progress as the object store confirms bytes. The first value of `confirmed` is what the store had before this
/// run. An upload that takes less than the interval commits none. Returns when the lease is lost.
pub(super) async fn commit(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    mut confirmed: watch::Receiver<u64>,
) -> StoreError {
    changed(&mut confirmed).await;
    let (mut since, mut before) = (Instant::now(), *confirmed.borrow_and_update());
    tokio::time::sleep(INTERVAL).await;
    loop {
        let (now, bytes) = (Instant::now(), *confirmed.borrow_and_update());
        if bytes < before {
            // The file is sent again from its start.
            (since, before) = (now, bytes);
        }
        let progress = progress(recording.duration, recording.bytes, before, bytes, now - since);
        match context.store.set_progress(leased, &progress).await {
            Err(lost @ StoreError::LeaseLost(_)) => return lost,
            Err(error) => tracing::debug!(%error, "progress not committed"),
            Ok(()) => {}
        }
        tokio::time::sleep(INTERVAL).await;
        changed(&mut confirmed).await;
    }
}

async fn changed(confirmed: &mut watch::Receiver<u64>) {
    if confirmed.changed().await.is_err() {
        // The sender is dropped with the upload, which is about to end.
        std::future::pending::<()>().await;
    }
}

/// The progress of a file of `size` bytes and `duration`: `bytes` are confirmed, and those after the first `before` took `took`.
fn progress(duration: Duration, size: u64, before: u64, bytes: u64, took: Duration) -> Progress {
    let whole = size.max(1) as f64;
    let fraction = (bytes as f64 / whole).min(1.0);
    let sent = bytes.saturating_sub(before) as f64 / whole;
    if sent <= 0.0 || took.is_zero() {
        return Progress { fraction, speed: 0.0, remaining: None };
    }
    let wholes_a_second = sent / took.as_secs_f64();
    Progress {
        fraction,
        speed: duration.as_secs_f64() * wholes_a_second,
        remaining: Duration::try_from_secs_f64((1.0 - fraction) / wholes_a_second).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_and_remaining_time_count_only_what_this_run_has_sent() {
        // (size, duration in s, before, confirmed), within ten seconds => (fraction, speed, remaining in s)
        for (size, seconds, before, confirmed, expected) in [
            (1000, 1, 0, 0, (0.0, 0.0, None)),
            (1000, 1, 0, 500, (0.5, 0.05, Some(10.0))),
            (1000, 100, 500, 750, (0.75, 2.5, Some(10.0))),
            (1000, 1, 0, 1000, (1.0, 0.1, Some(0.0))),
            (1000, 1, 1000, 1000, (1.0, 0.0, None)),
            (0, 1, 0, 0, (0.0, 0.0, None)),
        ] {
            let (duration, took) = (Duration::from_secs(seconds), Duration::from_secs(10));
            let now = progress(duration, size, before, confirmed, took);
            let remaining = now.remaining.map(|remaining| remaining.as_secs_f64());
            assert_eq!((now.fraction, now.speed, remaining), expected, "{confirmed} of {size}");
        }
    }
}
