//! Recordings of nodes that are lost, of which nothing had been uploaded: given up by any other node, so that nobody waits
//! for them, and taken up again when theirs is back.

use std::{collections::HashSet, sync::Arc, time::Duration};

use model::{NodeId, RecordingId};
use store::LostRecording;
use tokio_util::sync::CancellationToken;

use crate::{JobError, OpenFiles, dispatch::Context, metrics};

/// Looks until `shutdown`, at the start first.
pub(crate) async fn run(context: Arc<Context>, growing: Arc<dyn OpenFiles>, shutdown: CancellationToken) {
    let mut silent = HashSet::new();
    while !shutdown.is_cancelled() {
        let look = async {
            take_up_own(&context, &*growing).await?;
            match context.config.node_lost_after {
                Some(after) => give_up_lost(&context, after, &mut silent).await,
                None => Ok(()),
            }
        };
        if let Some(Err(error)) = shutdown.run_until_cancelled(look).await {
            tracing::debug!(%error, "lost nodes could not be looked for; the next look will");
        }
        shutdown.run_until_cancelled(tokio::time::sleep(context.config.keep)).await;
    }
}

/// Others may have taken this node for lost.
async fn take_up_own(context: &Context, growing: &dyn OpenFiles) -> Result<(), JobError> {
    let live: Vec<RecordingId> = growing.files().into_iter().map(|file| file.recording).collect();
    for recording in context.store.unpark(&context.config.node, &live).await? {
        tracing::info!(%recording, "this node was taken for lost; the recording goes on");
    }
    Ok(())
}

/// Nodes that were `silent` for too long at the last look, too, are lost: when the database was away, all were silent.
async fn give_up_lost(
    context: &Context,
    after: Duration,
    silent: &mut HashSet<NodeId>,
) -> Result<(), JobError> {
    let mut lost = context.store.lost_recordings(after).await?;
    lost.retain(|recording| recording.node != context.config.node);
    let now_silent = lost.iter().map(|recording| recording.node.clone()).collect();
    let before = std::mem::replace(silent, now_silent);
    for LostRecording { id, node, sealed } in lost.into_iter().filter(|one| before.contains(&one.node)) {
        if context.store.park_lost(id, after, &reason(&node, sealed)).await? {
            metrics::given_up();
            tracing::warn!(recording = %id, %node, sealed, "given up with its node, which had uploaded nothing of it");
        }
    }
    Ok(())
}

fn reason(node: &NodeId, sealed: bool) -> String {
    let when = if sealed { "" } else { " while it recorded" };
    format!(
        "its node {node} was lost{when}; nothing of it had been uploaded, and it goes on if that node comes back"
    )
}
