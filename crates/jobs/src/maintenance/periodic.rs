//! The runner of periodic tasks.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{JobError, context::Context, metrics};

/// The longest interval between two tries to claim a run that one node does for all.
const CLAIM_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest interval. A shorter one would keep a core busy.
const SHORTEST: Duration = Duration::from_millis(10);

/// One run of a task.
pub(crate) type Run = Box<dyn Fn(Arc<Context>) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// Work that repeats at an interval. A run must be repeatable: shutdown drops it where it is.
pub(crate) struct Periodic {
    /// In metrics and logs; of a task with `leader_only` also in the database.
    pub name: &'static str,
    /// From the end of a run to the next one.
    pub every: Duration,
    /// One node of all runs it each `every`; the database decides which.
    pub leader_only: bool,
    pub run: Run,
}

impl Periodic {
    /// Runs once at the start and then at the interval, until `shutdown`. An error or a panic costs one run.
    pub async fn repeat(self, context: Arc<Context>, shutdown: CancellationToken) {
        let every = if self.leader_only { self.every.min(CLAIM_INTERVAL) } else { self.every };
        let mut failures = 0_u32;
        while !shutdown.is_cancelled() {
            let span = tracing::debug_span!("periodic_task", task = self.name);
            match shutdown.run_until_cancelled(self.run_if_due(&context).instrument(span)).await {
                Some(Ok(())) => {
                    if failures > 0 {
                        tracing::info!(task = self.name, failures, "periodic task works again");
                    }
                    failures = 0;
                }
                Some(Err(error)) => {
                    metrics::periodic_task_failed(self.name);
                    // Once per outage: the next failures of the same outage say nothing new.
                    if failures == 0 {
                        tracing::warn!(task = self.name, %error, "periodic task failed, to be repeated");
                    } else {
                        tracing::debug!(task = self.name, %error, failures, "periodic task failed again");
                    }
                    failures = failures.saturating_add(1);
                }
                None => return,
            }
            shutdown.run_until_cancelled(tokio::time::sleep(every.max(SHORTEST))).await;
        }
    }

    async fn run_if_due(&self, context: &Arc<Context>) -> Result<(), JobError> {
        if self.leader_only && !context.store.claim_run(self.name, self.every).await? {
            return Ok(());
        }
        let begun = Instant::now();
        let run = AssertUnwindSafe((self.run)(Arc::clone(context))).catch_unwind();
        let result = run.await.unwrap_or(Err(JobError::Panicked));
        metrics::periodic_task_ran(self.name, begun.elapsed());
        result
    }
}
