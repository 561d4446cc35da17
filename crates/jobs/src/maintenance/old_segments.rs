//! Removes segments that no rendition was joined of: after a crash, or when the rendition was cancelled or parked.

use std::sync::Arc;

use chrono::Utc;

use crate::{JobError, context::Context, live_render::sweep};

/// Removes the files of this node.
pub(super) async fn remove_files(context: Arc<Context>) -> Result<(), JobError> {
    let removal = tokio::task::spawn_blocking(move || {
        let segments = &context.config.segments;
        sweep(&segments.directory, segments.keep.0, |recording| context.followers.follows(recording))
            .map_err(|source| JobError::Work { path: segments.directory.clone(), source })
    });
    let recordings = removal.await.map_err(|_| JobError::Panicked)??;
    if recordings > 0 {
        tracing::info!(recordings, "old segment files removed");
    }
    Ok(())
}

/// Removes the rows of all nodes.
pub(super) async fn remove_rows(context: &Context) -> Result<(), JobError> {
    let rows = context.store.delete_old_segments(Utc::now() - context.config.segments.keep.0).await?;
    if rows > 0 {
        tracing::info!(rows, "old segment rows removed");
    }
    Ok(())
}
