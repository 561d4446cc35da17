//! Removes temporary segments that nobody has joined: what a crash left, and those of renditions that were cancelled or
//! parked.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use crate::{JobError, dispatch::Context, live_render::sweep};

/// The work that one node of all does.
const TURN: &str = "segments";

/// Looks every so often, until `shutdown`.
pub(crate) async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    let every = context.config.segments.clean_up_interval;
    while shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        match look(&context, every).await {
            Ok((rows, recordings)) if rows > 0 || recordings > 0 => {
                tracing::info!(rows, recordings, "old segments removed");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old segments could not be removed; the next look will"),
        }
    }
}

/// How many rows went, and of how many recordings the files.
async fn look(context: &Arc<Context>, every: Duration) -> Result<(u64, usize), JobError> {
    let (shared, keep) = (Arc::clone(context), context.config.segments.keep);
    let swept = tokio::task::spawn_blocking(move || {
        let root = &shared.config.segments.directory;
        sweep(root, keep, |recording| shared.followers.follows(recording))
            .map_err(|source| JobError::Work { path: root.clone(), source })
    });
    let swept = swept.await.map_err(|_| JobError::Panicked)??;
    // The rows are everybody's.
    if !context.store.claim_run(TURN, every).await? {
        return Ok((0, swept));
    }
    Ok((context.store.forget_old_segments(Utc::now() - keep).await?, swept))
}
