//! From segments to a rendition.

use std::path::Path;

use model::{Recording, Rendition};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{JobError, Rendered, dispatch::Context, metrics};

/// Joins the segments that were made of a recording while it went on, waiting for those that are not ready. None: there
/// are none, or they are of no use; the rendition has to be made of the whole recording.
pub(crate) async fn segments_of(
    context: &Context,
    recording: &Recording,
    rendition: &Rendition,
    output: &Path,
    cancel: &CancellationToken,
) -> Result<Option<Rendered>, JobError> {
    let (begun, wait) = (Instant::now(), context.config.segments.wait);
    let key = (recording.id, rendition.parameters.as_str().into());
    let promotion = timeout(wait, context.followers.promote(&key, recording.bytes, output));
    match cancel.run_until_cancelled(promotion).await {
        None => Err(JobError::Cancelled),
        Some(Ok(None)) => Ok(None),
        Some(Ok(Some(Ok(rendered)))) => {
            metrics::promoted();
            tracing::debug!(took = ?begun.elapsed(), "segments joined");
            Ok(Some(rendered))
        }
        Some(Ok(Some(Err(error)))) => {
            metrics::not_promoted();
            tracing::warn!(%error, "segments can't be joined: the rendition is made of the whole recording");
            Ok(None)
        }
        Some(Err(_)) => {
            metrics::not_promoted();
            tracing::warn!(
                ?wait,
                "segments are not ready in time: the rendition is made of the whole recording"
            );
            Ok(None)
        }
    }
}
