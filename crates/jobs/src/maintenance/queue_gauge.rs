//! Keeps the gauge of jobs in the queue.

use std::{collections::HashMap, time::Duration};

use model::{JobKind, JobState};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// How often the queue is counted.
const INTERVAL: Duration = Duration::from_secs(15);

/// Counts until `shutdown`.
pub(crate) async fn keep(store: &dyn Store, shutdown: &CancellationToken) {
    loop {
        match shutdown.run_until_cancelled(store.depth()).await {
            None => return,
            Some(Ok(counts)) => set(&counts),
            Some(Err(error)) => tracing::debug!(%error, "the queue could not be counted"),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

fn set(counts: &[(JobKind, JobState, u64)]) {
    let counts: HashMap<_, _> = counts.iter().map(|&(kind, state, jobs)| ((kind, state), jobs)).collect();
    // Those too that the store leaves out because there are none: the gauge would stay at the last number.
    for &kind in JobKind::ALL {
        // Those that are done aren't in the queue any more, and are not counted.
        for &state in
            JobState::ALL.iter().filter(|state| !matches!(state, JobState::Done | JobState::Cancelled))
        {
            metrics::set_depth(kind, state, counts.get(&(kind, state)).copied().unwrap_or_default());
        }
    }
}
