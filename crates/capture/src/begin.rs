//! How a WebRTC session begins: admission, directory, answer, row, in this order. Each failure leaves nothing behind.

use std::{sync::Arc, time::Instant};

use model::{Channel, SessionId, Source, TenantId};
use spool::SpoolFile;
use tokio::{sync::oneshot, time::timeout};
use tracing::info;

use crate::{
    beginning::{self, Beginning, Description},
    error::CaptureError,
    node::{ANSWER_DEADLINE, Node},
    session::finalizing::BegunSession,
    shard::{Begin, Command, Shard},
};

/// A WebRTC session to record.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSession {
    /// Its owner.
    pub tenant: TenantId,
    /// The recording's name; empty: the session's id.
    pub name: String,
    /// The caller's correlation id; may be empty.
    pub correlation_id: String,
    /// The recording's purpose.
    pub channel: Channel,
    /// The client's offer (SDP).
    pub sdp_offer: String,
}

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The session's id, which is also its recording's.
    pub id: SessionId,
    /// The complete answer (SDP), with all candidates.
    pub sdp_answer: String,
}

/// Begins a session; on an error none exists.
pub(crate) async fn begin(node: Arc<Node>, session: NewSession) -> Result<Begun, CaptureError> {
    node.check_open()?;
    let NewSession { tenant, name, correlation_id, channel, sdp_offer: offer } = session;
    let (bytes, limit) = (offer.len(), node.config.limits.offer_bytes.as_usize());
    if bytes > limit {
        return Err(peer::OfferError::TooLarge { bytes, limit }.into());
    }
    let began_at = Instant::now();
    let id = SessionId::new();
    let description =
        Description { tenant, name, correlation_id, channel, source: Source::Webrtc, results: Vec::new() };
    let recording = description.recording(&node.config.node, id);
    let (reservation, shard) = node.registry.reserve(&recording, node.shards.len())?;
    let shard = node.shard(shard)?;
    let (beginning, begun, file) = Beginning::create(&node, recording).await?;
    let begin = async {
        let sdp_answer = answer(&node, shard, begun, file, offer).await?;
        beginning.make_durable(&node).await?;
        Ok(sdp_answer)
    };
    let sdp_answer = match begin.await {
        Ok(answer) => answer,
        Err(error) => {
            undo(shard, id, beginning).await;
            return Err(error);
        }
    };
    reservation.confirm();
    let recording = beginning.commit();
    let took_ms = began_at.elapsed().as_millis() as u64;
    info!(session_id = %id, tenant = %recording.tenant, took_ms, "session began: offer accepted");
    Ok(Begun { id, sdp_answer })
}

/// Gives the session to its shard and waits for the answer to the offer.
async fn answer(
    node: &Node,
    shard: &Shard,
    session: BegunSession,
    file: SpoolFile,
    offer: String,
) -> Result<String, CaptureError> {
    let limits = beginning::limits(node);
    let (answer, answered) = oneshot::channel();
    let begin = Begin { offer, session, file, limits, answer };
    shard.send(Command::Begin(Box::new(begin))).await?;
    match timeout(ANSWER_DEADLINE, answered).await {
        Ok(Ok(answer)) => Ok(answer?),
        Ok(Err(_)) | Err(_) => Err(CaptureError::Internal("the shard did not answer".to_owned())),
    }
}

/// Undoes a beginning that failed.
async fn undo(shard: &Shard, id: SessionId, beginning: Beginning) {
    let (done, is_done) = oneshot::channel();
    if shard.send(Command::Abandon { id, done }).await.is_ok() {
        // A shard that does not answer in time drops the session later.
        let _ = timeout(ANSWER_DEADLINE, is_done).await;
    }
    beginning.discard().await;
}
