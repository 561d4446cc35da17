//! Wakes the workers of this process when jobs may have become due.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// A job may become due after a worker looked for one and before it waits. So a wait that begins within this time after a
/// notification ends when this time is over, and the worker looks again.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Wakes all waiting workers at each change of the jobs. Notifications coalesce, and none is stored for later waits.
#[derive(Debug)]
pub struct JobSignal {
    last: watch::Sender<Option<Instant>>,
}

impl Default for JobSignal {
    fn default() -> Self {
        Self { last: watch::Sender::new(None) }
    }
}

impl JobSignal {
    /// Wakes the waiting workers: jobs may have become due.
    pub fn notify(&self) {
        self.last.send_replace(Some(Instant::now()));
    }

    /// Returns at the next [`notify`](Self::notify), at the latest after `at_most`. If the last notification is less than
    /// 100 ms old, returns 100 ms after it.
    pub async fn wait(&self, at_most: Duration) {
        let mut last = self.last.subscribe();
        let now = Instant::now();
        let second_look = (*last.borrow_and_update()).map(|at| at + SECOND_LOOK).filter(|at| *at > now);
        // A wait beyond the range of the clock is shortened to a day; the worker then looks again.
        let deadline = now.checked_add(at_most).unwrap_or_else(|| now + Duration::from_secs(24 * 60 * 60));
        let deadline = second_look.map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            _ = last.changed() => {}
            () = sleep_until(deadline) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    async fn waited(signal: &JobSignal, at_most: Duration) -> Duration {
        let begin = Instant::now();
        signal.wait(at_most).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_notification_wakes_every_waiter() {
        let signal = Arc::new(JobSignal::default());
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let signal = Arc::clone(&signal);
                tokio::spawn(async move { waited(&signal, LONG).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(5)).await;
        signal.notify();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Duration::from_secs(5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_limit() {
        assert_eq!(waited(&JobSignal::default(), LONG).await, LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_notification_just_before_the_wait_shortens_one_wait() {
        let signal = JobSignal::default();
        signal.notify();
        assert_eq!(waited(&signal, LONG).await, SECOND_LOOK);
        assert_eq!(waited(&signal, LONG).await, LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_duration_does_not_overflow() {
        let signal = JobSignal::default();
        assert_eq!(waited(&signal, Duration::MAX).await, Duration::from_secs(24 * 60 * 60));
    }
}
