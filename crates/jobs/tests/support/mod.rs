//! Nodes for tests: on SQLite with a directory of objects ([`local_node`], [`harness`]), and on SQLite with a real S3 server
//! ([`cluster`]). Object store, renderer and database fail by script.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod blobs;
pub mod cluster;
pub mod faulty_store;
pub mod follower;
pub mod harness;
pub mod local_node;
pub mod renderer;

use std::{
    fs,
    time::{Duration, Instant},
};

use chrono::Utc;
use jobs::JobsConfig;
use model::{
    Channel, Container, EndReason, JobKind, Recording, RecordingId, RecordingState, Source, TenantId,
};
use sha2::{Digest, Sha256};
use store::NewJob;

/// How long a test waits for something that has to happen: long enough for a machine that does other things.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `is` returns true, for at most [`PATIENCE`].
pub async fn wait_for(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes a finished file into the spool. Returns the recording's row, which is not in the database yet.
pub fn finished_file(config: &JobsConfig, content: &[u8]) -> Recording {
    let (id, started_at) = (RecordingId::new(), Utc::now());
    let recording = Recording {
        id,
        tenant: TenantId::default(),
        name: id.to_string(),
        correlation_id: String::new(),
        channel: Channel::Call,
        source: Source::Webrtc,
        node: config.node.clone(),
        state: RecordingState::Processing,
        started_at,
        ended_at: Some(started_at),
        end_reason: Some(EndReason::Requested),
        container: Some(Container::Webm),
        object_key: Some(Recording::object_key("media", id, started_at, Container::Webm)),
        duration: Duration::from_secs(1),
        bytes: content.len() as u64,
        sha256: Some(sha256(content)),
        error: None,
        tracks: Vec::new(),
        results: Vec::new(),
    };
    let directory = config.spool.join(id.to_string());
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join(format!("{id}.webm")), content).unwrap();
    fs::write(directory.join("manifest.json"), "{}").unwrap();
    recording
}

/// The upload job of a finalized recording.
pub fn upload_job(config: &JobsConfig) -> NewJob {
    NewJob { kind: JobKind::Upload, node: Some(config.node.clone()), run_at: Utc::now() }
}

/// Lower-case hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
