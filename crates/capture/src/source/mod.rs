//! Sessions of sources that aren't WebRTC: pushed audio, bots. Each has a task that feeds the same recorder, spool and
//! seal as a shard does, under the same limits.

mod handle;
mod pace;
mod task;

use std::{sync::Arc, time::SystemTime};

use model::{AudioResult, Channel, SessionId, Source, TenantId};
use spool::{MediaFile, SpoolFile};
use tokio::sync::{mpsc, oneshot};
use tracing::info;

pub use handle::{SourceEnded, SourceHandle, SourceOutcome};

use crate::{
    CaptureError,
    begin::{self, Description},
    capture::Node,
    session::{file_recorder::FileRecorder, finalizing::WrittenDown},
    shard::SessionStatistics,
};

/// Inputs on their way to the task. RTP is dropped and counted when it is full, other inputs wait.
const INPUTS: usize = 256;
/// Wishes on their way to the task. Who asks waits.
const CONTROLS: usize = 16;

/// What a source that isn't WebRTC wants recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSource {
    /// Whose it is.
    pub tenant: TenantId,
    /// A name; empty: the session's id.
    pub name: String,
    /// The caller's correlation id; may be empty.
    pub correlation_id: String,
    /// What it is for.
    pub channel: Channel,
    /// Where the media comes from.
    pub source: Source,
    /// What is to be made of the recording.
    pub results: Vec<AudioResult>,
}

/// What a task can be asked.
#[derive(Debug)]
pub(crate) enum Control {
    /// End the session, after the inputs that are on their way.
    Stop(model::EndReason),
    /// Pause it, or resume it, after the inputs that are on their way. False: it has ended.
    Pause { paused: bool, answer: oneshot::Sender<bool> },
    /// Tell its counters.
    Statistics(oneshot::Sender<SessionStatistics>),
}

/// The counters of a session; none if its task is gone.
pub(crate) async fn statistics(control: &mpsc::Sender<Control>) -> Option<SessionStatistics> {
    let (answer, answered) = oneshot::channel();
    control.send(Control::Statistics(answer)).await.ok()?;
    answered.await.ok()
}

/// Begins a session; on an error none exists.
pub(crate) async fn open(node: Arc<Node>, source: NewSource) -> Result<SourceHandle, CaptureError> {
    if node.draining.load(std::sync::atomic::Ordering::Acquire) {
        return Err(CaptureError::Draining);
    }
    let id = SessionId::new();
    let (control, controls) = mpsc::channel(CONTROLS);
    let NewSource { tenant, name, correlation_id, channel, source, results } = source;
    let description = Description { tenant, name, correlation_id, channel, source, results };
    let recording = description.recording(&node.config.node, id);
    let (place, committed) = node.registry.reserve_task(&recording, control)?;
    let directory = node.spool.recording(recording.id);
    let file = begin::create(&node, &directory, &recording).await?;
    if let Err(error) = begin::write_down(&node, &directory, &recording).await {
        drop(file);
        begin::take_back(directory).await;
        return Err(error);
    }
    place.keep();
    let (admit, admitted) = oneshot::channel();
    let _ = admit.send(());
    let spool = &node.config.spool;
    let (file, written) = pace::paced(file);
    let file: Box<dyn MediaFile> = Box::new(file);
    let file = SpoolFile::new(file, node.writers.of(id), spool.max_waiting_bytes, spool.stall_timeout);
    let now = tokio::time::Instant::now().into_std();
    let wall = SystemTime::from(recording.started_at);
    info!(session_id = %id, tenant = %recording.tenant, source = %recording.source, "session began");
    let (inputs_sender, inputs) = mpsc::channel(INPUTS);
    let refused = handle::Refusal::default();
    let written_down = WrittenDown { begun: recording, directory, admitted };
    node.growing.add(&written_down.begun, &written_down.directory, file.queue());
    let session = task::Session::new(
        written_down,
        FileRecorder::new(file, now, wall),
        begin::bounds(&node),
        refused.clone(),
    );
    let pace = pace::Pace { written, at_most: spool.max_waiting_bytes as u64 / 4 };
    let run = task::run(session, inputs, controls, pace, Arc::clone(&node.sealer), node.cancelled.clone());
    node.tasks.spawn(run);
    Ok(SourceHandle::new(id, inputs_sender, committed, refused))
}
