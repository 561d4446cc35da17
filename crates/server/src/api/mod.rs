//! The handlers of all calls: a request message in, a response message or an [`ApiError`] out. They do not depend on the
//! transport: gRPC and HTTP share them.

mod bit_rate;
mod check;
mod deletion;
mod download;
mod ingest;
mod jobs;
mod pause;
mod recordings;
mod renditions;
mod segments;
mod sessions;
mod watch;
mod webrtc;

use std::sync::Arc;

use blob::BlobStore;
use capture::Capture;
use model::{RecordingId, SessionId};
use store::Store;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, Span, field::display};

pub(crate) use bit_rate::BitRates;
pub(crate) use download::{Download, is_expired};
pub use ingest::{AudioStream, StreamError};
pub(crate) use watch::{MAX_WATCHERS, Watch};

use crate::{cluster::Cluster, downloads::Downloads, error::ApiError};

/// Limits of requests.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// The longest name and correlation id, in bytes.
    pub name_bytes: usize,
    /// The largest SDP offer, in bytes.
    pub offer_bytes: usize,
}

/// The state that the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) capture: Capture,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// Signs links for an object store that has no presigned URLs.
    pub(crate) downloads: Downloads,
    pub(crate) cluster: Cluster,
    pub(crate) limits: RequestLimits,
    /// Work that is completed even if its caller disconnects. Awaited at shutdown.
    pub(crate) work: TaskTracker,
    /// One permit for each watcher.
    pub(crate) watchers: Arc<Semaphore>,
    /// Cancelled at shutdown; it ends all watches.
    pub(crate) closing: CancellationToken,
    pub(crate) bit_rates: Arc<BitRates>,
}

/// Names the session in the call's span.
fn record_session_id(id: SessionId) {
    Span::current().record("session_id", display(id));
}

/// Names the recording in the call's span.
fn record_recording_id(id: RecordingId) {
    Span::current().record("recording_id", display(id));
}

/// Runs work as a task of its own, so that it is completed even if the caller's deadline passes or the connection breaks.
///
/// # Errors
/// `Internal` if the task panics.
async fn run_detached<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    let task = tasks.spawn(work.in_current_span());
    task.await.map_err(|error| ApiError::Internal(format!("the task of a call failed: {error}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn detached_work_is_completed_after_its_callers_deadline() {
        let tasks = TaskTracker::new();
        let (go, may_go) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let work = async move {
            may_go.await.unwrap();
            done.send("finalized").unwrap();
        };
        assert!(timeout(Duration::ZERO, run_detached(&tasks, work)).await.is_err());
        go.send(()).unwrap();
        assert_eq!(is_done.await.unwrap(), "finalized");
    }

    #[tokio::test]
    async fn a_panic_of_detached_work_is_an_internal_error() {
        let broken = run_detached(&TaskTracker::new(), async { panic!("broken") }).await;
        assert!(broken.is_err_and(|error: ApiError| error.is_internal()));
    }
}
