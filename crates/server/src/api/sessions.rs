//! `ListSessions`: the live sessions of all nodes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use capture::{SessionDrops, TrackStatus};
use proto::recorder::v1 as pb;
use store::Node;
use tokio::{task::JoinSet, time::timeout};
use tracing::Instrument as _;

use super::Api;
use crate::{auth::Caller, error::ApiError, wire};

/// How long another node may take to list its sessions.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// In `missing_nodes`: the database, which knows the nodes, is unavailable.
const UNKNOWN_NODES: &str = "*";

impl Api {
    /// The tenant's live sessions on all nodes, oldest first. A forwarded call lists the sessions of this node only.
    ///
    /// # Errors
    /// None: nodes that did not answer are named in the response.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        _request: pb::ListSessionsRequest,
    ) -> Result<pb::ListSessionsResponse, ApiError> {
        let (mut sessions, others) = tokio::join!(self.own_sessions(caller), self.sessions_of_others(caller));
        sessions.extend(others.sessions);
        let begun = |session: &pb::Session| session.started_at.map(|at| (at.seconds, at.nanos));
        sessions.sort_by(|a, b| begun(a).cmp(&begun(b)).then_with(|| a.id.cmp(&b.id)));
        // A node that was restarted under another id answers at its old address too.
        sessions.dedup_by(|a, b| a.id == b.id);
        Ok(pb::ListSessionsResponse { sessions, missing_nodes: others.missing_nodes })
    }

    async fn own_sessions(&self, caller: &Caller) -> Vec<pb::Session> {
        let live = self.capture.live(Some(&caller.tenant)).await;
        let rates = self.bit_rates.rates(&live, Instant::now());
        live.iter().zip(rates).map(|(status, rates)| session(status, &rates)).collect()
    }

    /// Asks all other nodes concurrently.
    async fn sessions_of_others(&self, caller: &Caller) -> pb::ListSessionsResponse {
        let mut all = pb::ListSessionsResponse::default();
        // A forwarded call is never forwarded again.
        if caller.forwarded_by.is_some() {
            return all;
        }
        let nodes = match self.cluster.others().await {
            Ok(nodes) => nodes,
            Err(error) => {
                tracing::warn!(%error, "ListSessions: the other nodes are not known, database unavailable");
                all.missing_nodes.push(UNKNOWN_NODES.to_owned());
                return all;
            }
        };
        let mut asked = JoinSet::new();
        for Node { id, grpc_address, .. } in nodes {
            let (client, caller) = (Arc::clone(&self.cluster.client), caller.clone());
            let ask = async move {
                let answer = timeout(ANSWER_WITHIN, client.list_sessions(&grpc_address, &caller)).await;
                (id, answer.unwrap_or_else(|_| Err(ApiError::Internal("no answer in time".to_owned()))))
            };
            asked.spawn(ask.in_current_span());
        }
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((_, Ok(sessions))) => all.sessions.extend(sessions),
                Ok((node, Err(error))) => {
                    tracing::warn!(%node, %error, "ListSessions: node did not answer");
                    all.missing_nodes.push(node.to_string());
                }
                Err(error) => tracing::error!(%error, "ListSessions: the task that asks a node panicked"),
            }
        }
        all.missing_nodes.sort_unstable();
        all
    }
}

fn session(status: &capture::SessionStatus, rates: &[u64]) -> pb::Session {
    let rates = rates.iter().copied().chain(std::iter::repeat(0));
    let tracks = status.tracks.iter().zip(rates).map(|(track, rate)| session_track(track, rate));
    pb::Session {
        id: status.id.to_string(),
        state: wire::state(status.state).into(),
        age: Some(wire::duration(status.age)),
        bytes: wire::count(status.bytes),
        tracks: tracks.collect(),
        name: status.recording.name.clone(),
        correlation_id: status.recording.correlation_id.clone(),
        source: wire::source(status.recording.source).into(),
        node: status.recording.node.to_string(),
        started_at: Some(wire::timestamp(status.recording.started_at)),
        drops: Some(session_drops(&status.drops)),
    }
}

fn session_drops(drops: &SessionDrops) -> pb::SessionDrops {
    let SessionDrops { unknown_track, queue_full, data_messages, received: peer } = drops;
    pb::SessionDrops {
        packets_unknown_track: wire::count(*unknown_track),
        packets_queue_full: wire::count(*queue_full),
        data_messages: wire::count(*data_messages),
        srtp_authentication_failures: wire::count(peer.not_authentic),
        srtp_replays: wire::count(peer.replayed),
        packets_unknown_ssrc: wire::count(peer.unknown_ssrc),
        packets_before_keys: wire::count(peer.before_keys),
        packets_malformed: wire::count(peer.malformed),
        packets_duplicate: wire::count(peer.duplicate),
        packets_unknown_payload_type: wire::count(peer.unknown_payload_type),
        packets_unmatched_resend: wire::count(peer.unmatched_resend),
        datagrams_unexpected: wire::count(peer.unexpected),
        stun_rejected: wire::count(peer.stun),
        dtls_rejected: wire::count(peer.dtls),
        datagrams_queue_full: wire::count(peer.queue_full),
    }
}

fn session_track(track: &TrackStatus, bit_rate: u64) -> pb::SessionTrack {
    let TrackStatus { name, recorded: media, received: peer } = track;
    pb::SessionTrack {
        codec: capture::codec_of(media).map_or(pb::Codec::Unspecified, wire::codec).into(),
        bit_rate: wire::count(bit_rate),
        loss: loss(media.lost, media.packets),
        name: name.clone(),
        packets: wire::count(peer.packets),
        bytes: wire::count(peer.bytes),
        packets_resent: wire::count(peer.resent),
        packets_nacked: wire::count(peer.nacked),
        packets_lost: wire::count(media.lost),
        packets_duplicate: wire::count(media.duplicates),
        packets_late: wire::count(media.late),
        packets_corrupt: wire::count(media.malformed + media.unknown_payload_type),
        jitter: Some(wire::duration(Duration::try_from_secs_f64(peer.jitter).unwrap_or_default())),
        plis: wire::count(peer.plis),
        frames: wire::count(media.frames),
        frames_dropped: wire::count(media.frames_dropped + media.frames_without_entry),
        width: wire::count32(media.width),
        height: wire::count32(media.height),
        av_offset: media.av_offset.map(wire::signed_duration),
        packets_out_of_sequence: wire::count(media.out_of_sequence),
        packets_unknown_payload_type: wire::count(media.unknown_payload_type),
        packets_excess_layers: wire::count(media.excess_layers),
        frames_without_entry: wire::count(media.frames_without_entry),
    }
}

fn loss(lost: u64, received: u64) -> f64 {
    let all = lost.saturating_add(received);
    // Exact up to 2^53 packets.
    if all == 0 { 0.0 } else { lost as f64 / all as f64 }
}
