//! Sample recordings and jobs.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use model::{
    Channel, Codec, Container, EndReason, JobKind, MediaKind, NodeId, Recording, RecordingId, RecordingState,
    Rendition, Source, TenantId, Track,
};

use crate::{FinalizedRecording, LeasedJob, NewJob, NewRendition, Store};

/// The length of a lease that does not expire during a check.
pub const LONG: Duration = Duration::from_secs(600);

/// The tenant of most checks.
#[must_use]
pub fn tenant() -> TenantId {
    tenant_named("acme")
}

/// A tenant.
#[must_use]
pub fn tenant_named(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A node.
#[must_use]
pub fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// Now, truncated to a microsecond, the resolution of all back ends.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// `seconds` ago.
#[must_use]
pub fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

/// A live recording whose session begins on node `a`.
#[must_use]
pub fn begun() -> Recording {
    let id = RecordingId::new();
    Recording {
        id,
        tenant: tenant(),
        name: "Планёрка 🎙️ 朝会".to_owned(),
        correlation_id: format!("call-{id}"),
        channel: Channel::Call,
        source: Source::Webrtc,
        node: node("a"),
        state: RecordingState::Recording,
        started_at: ago(60),
        ended_at: None,
        end_reason: None,
        container: None,
        object_key: None,
        duration: Duration::ZERO,
        bytes: 0,
        sha256: None,
        error: None,
        tracks: Vec::new(),
        results: Vec::new(),
    }
}

/// The same recording after it was finalized, with a video and an audio track.
#[must_use]
pub fn finalized(begun: &Recording) -> Recording {
    let container = Container::Webm;
    Recording {
        state: RecordingState::Processing,
        ended_at: Some(now()),
        end_reason: Some(EndReason::Requested),
        container: Some(container),
        object_key: Some(Recording::object_key("media", begun.id, begun.started_at, container)),
        duration: Duration::from_nanos(59_987_654_321),
        bytes: 11_223_344,
        sha256: Some("5e".repeat(32)),
        tracks: vec![video(1), audio(2)],
        ..begun.clone()
    }
}

/// A video track.
#[must_use]
pub fn video(number: u32) -> Track {
    Track {
        number,
        mid: "0".to_owned(),
        kind: MediaKind::Video,
        codec: Codec::Vp8,
        width: 1280,
        height: 720,
        start: Duration::from_millis(120),
        duration: Duration::from_nanos(59_867_654_321),
        frames: 1796,
        bytes: 10_000_000,
        packets_lost: 3,
    }
}

/// An audio track.
#[must_use]
pub fn audio(number: u32) -> Track {
    Track {
        number,
        mid: "1".to_owned(),
        kind: MediaKind::Audio,
        codec: Codec::Opus,
        width: 0,
        height: 0,
        start: Duration::ZERO,
        duration: Duration::from_nanos(59_987_654_321),
        frames: 2999,
        bytes: 1_000_000,
        packets_lost: 0,
    }
}

/// A due upload job for any node.
#[must_use]
pub fn upload() -> NewJob {
    NewJob { kind: JobKind::Upload, node: None, run_at: ago(1) }
}

/// A due clean-up job for any node.
#[must_use]
pub fn clean_up() -> NewJob {
    NewJob { kind: JobKind::CleanUp, ..upload() }
}

/// The audio of a finalized recording as MP3.
#[must_use]
pub fn mp3(recording: &Recording) -> NewRendition {
    NewRendition {
        kind: "mp3".to_owned(),
        parameters: r#"{"kind":"mp3"}"#.to_owned(),
        object_key: Rendition::object_key(recording.object_key.as_deref().unwrap_or("x.webm"), "mp3", "mp3"),
        content_type: "audio/mpeg".to_owned(),
    }
}

/// Begins and finalizes a recording with these jobs. Returns the finalized recording.
pub async fn write_with_jobs(store: &dyn Store, jobs: Vec<NewJob>) -> Recording {
    let begun = begun();
    store.begin(&begun).await.unwrap();
    let recording = finalized(&begun);
    store
        .finalize(&FinalizedRecording { recording: recording.clone(), jobs, renditions: Vec::new() })
        .await
        .unwrap();
    recording
}

/// Finalizes `recording` without jobs.
pub async fn write(store: &dyn Store, recording: &Recording) {
    store
        .finalize(&FinalizedRecording {
            recording: recording.clone(),
            jobs: Vec::new(),
            renditions: Vec::new(),
        })
        .await
        .unwrap();
}

/// Leases a job of any kind on node `a` for [`LONG`].
pub async fn lease(store: &dyn Store) -> Option<LeasedJob> {
    store.lease(&node("a"), JobKind::ALL, LONG).await.unwrap()
}
