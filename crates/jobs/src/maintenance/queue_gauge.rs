//! The gauge of jobs in the queue.

use std::collections::HashMap;

use model::{JobKind, JobState};

use crate::{JobError, context::Context, metrics};

/// Counts the queue.
pub(super) async fn run(context: &Context) -> Result<(), JobError> {
    let counts = context.store.count_jobs().await?;
    let counts: HashMap<_, _> = counts.into_iter().map(|(kind, state, jobs)| ((kind, state), jobs)).collect();
    for &kind in JobKind::ALL {
        // Jobs that are DONE or CANCELLED are not in the queue any more.
        for &state in
            JobState::ALL.iter().filter(|state| !matches!(state, JobState::Done | JobState::Cancelled))
        {
            // The store leaves out what it has no jobs of. Without the zero the gauge would stay at the last number.
            metrics::set_queued(kind, state, counts.get(&(kind, state)).copied().unwrap_or_default());
        }
    }
    Ok(())
}
