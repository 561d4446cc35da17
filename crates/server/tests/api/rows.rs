//! Recordings that exist only as rows, for tests that need no media.

use std::time::Duration;

use model::{
    Channel, Codec, Container, EndReason, MediaKind, NodeId, Recording as Row, RecordingId,
    RecordingState as RowState, Source, TenantId, Track,
};
use proto::recorder::v1::{self as pb, rendition_spec::Kind};
use store::{FinalizedRecording, Store as _};
use store_sqlite::SqliteStore;

use crate::support::TestApp;

/// Another node, so that the node under test does not run the jobs of these rows.
pub const ELSEWHERE: &str = "elsewhere";

pub fn track(number: u32, kind: MediaKind, codec: Codec) -> Track {
    Track {
        number,
        mid: number.to_string(),
        kind,
        codec,
        width: 0,
        height: 0,
        start: Duration::ZERO,
        duration: Duration::from_secs(1),
        frames: 1,
        bytes: 1,
        packets_lost: 0,
    }
}

pub fn row(tenant: &str, state: RowState, tracks: Vec<Track>) -> Row {
    let (id, now) = (RecordingId::new(), chrono::Utc::now());
    let container = Some(Container::Webm).filter(|_| !tracks.is_empty());
    Row {
        id,
        tenant: tenant.parse::<TenantId>().unwrap(),
        name: "visit 7".to_owned(),
        correlation_id: String::new(),
        channel: Channel::Call,
        source: Source::Webrtc,
        node: ELSEWHERE.parse::<NodeId>().unwrap(),
        state,
        started_at: now,
        ended_at: Some(now),
        end_reason: Some(EndReason::Requested),
        object_key: container.map(|container| Row::object_key("records", id, now, container)),
        container,
        duration: Duration::from_secs(1),
        bytes: 5,
        sha256: Some("5e".repeat(32)),
        error: None,
        tracks,
        results: Vec::new(),
    }
}

pub fn film() -> Vec<Track> {
    vec![track(1, MediaKind::Video, Codec::Vp8), track(2, MediaKind::Audio, Codec::Opus)]
}

pub fn sound() -> Vec<Track> {
    vec![track(1, MediaKind::Audio, Codec::Opus)]
}

pub async fn finalize(app: &TestApp, recording: &Row) -> String {
    let store = SqliteStore::open(app.directory.path().join("recorder.db")).await.unwrap();
    let finalized =
        FinalizedRecording { recording: recording.clone(), jobs: Vec::new(), renditions: Vec::new() };
    store.finalize(&finalized).await.unwrap();
    recording.id.to_string()
}

pub fn create(id: &str, kind: Kind) -> pb::CreateRenditionRequest {
    let spec = Some(pb::RenditionSpec { kind: Some(kind) });
    pb::CreateRenditionRequest { recording_id: id.to_owned(), spec }
}

pub fn mp3() -> Kind {
    Kind::Mp3(pb::Mp3::default())
}
