//! Joins the segments of a recording into a rendition.

use std::path::Path;

use model::{Recording, Rendition};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{JobError, Rendered, context::Context, metrics};

/// Has the follower make the last segments and join all of them, for at most `segments.wait`. Returns None if that is not
/// possible: then the rendition has to be rendered of the whole file.
pub(crate) async fn segments_of(
    context: &Context,
    recording: &Recording,
    rendition: &Rendition,
    output: &Path,
    cancel: &CancellationToken,
) -> Result<Option<Rendered>, JobError> {
    let (begun, wait) = (Instant::now(), context.config.segments.wait.0);
    let key = (recording.id, rendition.parameters.as_str().into());
    let joining = timeout(wait, context.followers.join(&key, recording.bytes, output));
    match cancel.run_until_cancelled(joining).await {
        None => Err(JobError::Cancelled),
        Some(Ok(None)) => Ok(None),
        Some(Ok(Some(Ok(rendered)))) => {
            metrics::joined();
            tracing::debug!(took = ?begun.elapsed(), "segments joined");
            Ok(Some(rendered))
        }
        Some(Ok(Some(Err(error)))) => {
            metrics::not_joined();
            tracing::warn!(%error, "segments can't be joined; rendering the whole file");
            Ok(None)
        }
        Some(Err(_)) => {
            metrics::not_joined();
            tracing::warn!(?wait, "segments not ready in time; rendering the whole file");
            Ok(None)
        }
    }
}
