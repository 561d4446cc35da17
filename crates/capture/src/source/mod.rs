//! Sessions of sources that aren't WebRTC: pushed audio, bots. Each has a task of its own, with the same recorder, spool,
//! limits and end as the sessions of a shard.

pub(crate) mod control;
mod feeder;
mod handle;
mod task;

use std::sync::Arc;

use model::{AudioResult, Channel, SessionId, Source, TenantId};
use tokio::sync::mpsc;
use tracing::info;

pub use handle::{SourceEnded, SourceHandle, SourceOutcome};

use crate::{
    beginning::{self, Beginning, Description},
    error::CaptureError,
    node::Node,
    session::{Session, state::State},
};
use feeder::{Shared, SourceFeeder};

/// Inputs on their way to the task. RTP that finds the queue full is dropped and counted; other inputs wait.
const INPUTS: usize = 256;

/// A session to record whose source is not WebRTC.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSource {
    /// Its owner.
    pub tenant: TenantId,
    /// The recording's name; empty: the session's id.
    pub name: String,
    /// The caller's correlation id; may be empty.
    pub correlation_id: String,
    /// The recording's purpose.
    pub channel: Channel,
    /// The kind of source.
    pub source: Source,
    /// The renditions that the caller requests.
    pub results: Vec<AudioResult>,
}

/// Begins a session; on an error none exists.
pub(crate) async fn open(node: Arc<Node>, source: NewSource) -> Result<SourceHandle, CaptureError> {
    node.check_open()?;
    let id = SessionId::new();
    let (control, controls) = mpsc::channel(control::CONTROLS);
    let NewSource { tenant, name, correlation_id, channel, source, results } = source;
    let description = Description { tenant, name, correlation_id, channel, source, results };
    let recording = description.recording(&node.config.node, id);
    let (reservation, committed) = node.registry.reserve_task(&recording, control)?;
    let (beginning, begun, file) = Beginning::create(&node, recording).await?;
    if let Err(error) = beginning.make_durable(&node).await {
        drop((begun, file));
        beginning.discard().await;
        return Err(error);
    }
    reservation.confirm();
    let recording = beginning.commit();
    info!(session_id = %id, tenant = %recording.tenant, source = %recording.source, "session began");
    let (sender, inputs) = mpsc::channel(INPUTS);
    let shared = Arc::new(Shared::default());
    let feeder = SourceFeeder::new(id, Arc::clone(&shared));
    let state = State::Recording(beginning::limits(&node));
    let session = Session::new(feeder, begun, file, state, task::now());
    let max_waiting_bytes = node.config.spool.max_waiting_bytes.as_usize() / 4;
    let (finalizer, cancelled) = (Arc::clone(&node.finalizer), node.cancelled.clone());
    node.tasks.spawn(task::run(session, inputs, controls, max_waiting_bytes, finalizer, cancelled));
    Ok(SourceHandle::new(id, sender, committed, shared))
}
