//! What the recorder does for its callers, the same for gRPC and for HTTP: messages in, messages or an [`ApiError`]
//! out. Nothing here knows by which of the two a call came.

mod bit_rate;
mod check;
mod deletion;
mod download;
mod ingest;
mod jobs;
mod observe;
mod owner;
mod pause;
mod recordings;
mod renditions;
mod segments;
mod sessions;
mod watch;
mod webrtc;

use std::{sync::Arc, time::Duration};

use blob::BlobStore;
use capture::Capture;
use model::NodeId;
use store::Store;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

pub(crate) use bit_rate::BitRates;
pub(crate) use download::{Download, is_over};
pub use ingest::{AudioStream, StreamError};
pub use observe::observed;
pub(crate) use watch::{MAX_WATCHERS, Watching};

use crate::{downloads::Downloads, error::ApiError, grpc::Forwarder};

/// What is allowed in requests.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// The longest name and correlation id, in bytes.
    pub name_bytes: usize,
    /// The largest SDP offer, in bytes.
    pub offer_bytes: usize,
}

/// The recorder, as its callers see it. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) capture: Capture,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// Links to objects of a store that makes none itself.
    pub(crate) downloads: Downloads,
    pub(crate) node: NodeId,
    pub(crate) forwarder: Forwarder,
    pub(crate) limits: RequestLimits,
    /// A node that has been silent for longer counts as dead.
    pub(crate) dead_after: Duration,
    /// Work that goes on when its caller has gone.
    pub(crate) work: TaskTracker,
    /// A place for each caller who watches.
    pub(crate) watchers: Arc<Semaphore>,
    /// Watchers are sent away.
    pub(crate) closing: CancellationToken,
    pub(crate) bit_rates: Arc<BitRates>,
}

/// Runs work that is not to stop half-way when the caller's deadline passes or the connection breaks: those bound the
/// wait, not the work.
async fn to_the_end<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    let task = tasks.spawn(work.in_current_span());
    task.await.map_err(|error| ApiError::Internal(format!("a task of a call ended early: {error}")))
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_deadline_bounds_the_wait_and_not_the_work() {
        let tasks = TaskTracker::new();
        let (go, may_go) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let work = async move {
            may_go.await.unwrap();
            done.send("sealed").unwrap();
        };
        assert!(timeout(Duration::ZERO, to_the_end(&tasks, work)).await.is_err());
        go.send(()).unwrap();
        assert_eq!(is_done.await.unwrap(), "sealed");
    }

    #[tokio::test]
    async fn work_that_breaks_is_a_fault_of_ours() {
        let broken = to_the_end(&TaskTracker::new(), async { panic!("broken") }).await;
        assert!(broken.is_err_and(|error: ApiError| error.is_internal()));
    }
}
