//! What runs that were ended by a deletion had begun to store, or store all the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use blob::{BlobError, BlobStore as _, FilePart, PartRange, PartUploads as _, PutFile};
use model::{EndReason, Job, JobKind, JobState, Progress, Rendition};
use store::{NewRendition, Store as _};
use support::{
    cluster::{Cluster, TestNode, TestRecording, wait_for},
    renderer::Render,
};
use tokio_util::sync::CancellationToken;

/// A recording that the object store has, on a node whose leases are short.
async fn stored(yard: &Cluster) -> (TestNode, TestRecording) {
    let mut station = yard.station("a").await;
    // The second look comes after twice as long: time enough for a slow machine to store something before it.
    station.config.lease = Duration::from_secs(5);
    station.start();
    let mut take = station.begin().await;
    take.grow(10_000);
    take.finalize(&station, EndReason::Requested).await;
    station.until_available(&take).await;
    station.until_tidy(&take).await;
    (station, take)
}

fn new(take: &TestRecording) -> NewRendition {
    NewRendition {
        kind: "wav".to_owned(),
        parameters: r#"{"kind":"wav"}"#.to_owned(),
        object_key: Rendition::object_key(&take.key(), "wav", "wav"),
        content_type: "audio/wav".to_owned(),
    }
}

/// Begins to store something under a key and leaves it at that, as a process does that is killed.
async fn begin_to_store(station: &TestNode, key: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 1000]).unwrap();
    let upload = station.blobs.begin(key, "audio/wav").await.unwrap();
    let part = FilePart { path: file.path(), range: PartRange { number: 1, offset: 0, bytes: 1000 } };
    station.blobs.send(&upload, part, &CancellationToken::new()).await.unwrap();
}

async fn store(station: &TestNode, key: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 1000]).unwrap();
    let put = PutFile { key, path: file.path(), content_type: "audio/wav", sha256: None, confirmed: None };
    station.blobs.put_file(put, &CancellationToken::new()).await.unwrap();
}

/// Waits until the removal has been done and is to be done again.
async fn until_looked_once(station: &TestNode, take: &TestRecording) {
    wait_for("the first look", async || {
        let jobs = station.store.jobs_of(take.begun.id).await.unwrap();
        let waits =
            |job: &Job| job.state == JobState::Queued && job.run_at > job.created_at + station.config.lease;
        jobs.iter().any(|job| job.kind == JobKind::Delete && waits(job))
    })
    .await;
}

async fn is_absent(station: &TestNode, key: &str) -> bool {
    matches!(station.blobs.head(key).await, Err(BlobError::NotFound(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_render_had_begun_to_upload_goes_with_its_recording() {
    let yard = Cluster::new().await;
    let (station, take) = stored(&yard).await;
    let other = station.begin().await;
    begin_to_store(&station, &new(&take).object_key).await;
    begin_to_store(&station, &new(&other).object_key).await;
    station.store.delete_recording(&take.begun.tenant, take.begun.id, "").await.unwrap();
    let keys = async || {
        let open = station.blobs.open("").await.unwrap();
        open.into_iter().map(|upload| upload.key).collect::<Vec<_>>()
    };
    wait_for("the abort", async || keys().await == [new(&other).object_key]).await;
    assert!(is_absent(&station, &take.key()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_render_stores_after_its_recording_was_deleted_goes_too() {
    let yard = Cluster::new().await;
    let (station, take) = stored(&yard).await;
    station.renderer.script([Render::WorksOn(Progress::default())]);
    let (tenant, id, key) = (&take.begun.tenant, take.begun.id, new(&take).object_key);
    station.store.create_rendition(tenant, id, &new(&take)).await.unwrap();
    wait_for("the render", async || station.renderer.running() == 1).await;
    station.store.delete_recording(tenant, id, "").await.unwrap();
    until_looked_once(&station, &take).await;
    assert!(is_absent(&station, &take.key()).await);
    // What a run had sent before it heard of it, and the store took later.
    store(&station, &key).await;
    begin_to_store(&station, &key).await;
    wait_for("the second look", async || {
        is_absent(&station, &key).await && station.blobs.open("").await.unwrap().is_empty()
    })
    .await;
    wait_for("the end", async || {
        station.store.jobs_of(id).await.unwrap().iter().all(|job| job.state.is_final())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_render_stores_after_its_rendition_was_deleted_goes_too() {
    let yard = Cluster::new().await;
    let (station, take) = stored(&yard).await;
    station.renderer.script([Render::WorksOn(Progress::default())]);
    let (tenant, key) = (&take.begun.tenant, new(&take).object_key);
    let made = station.store.create_rendition(tenant, take.begun.id, &new(&take)).await.unwrap();
    wait_for("the render", async || station.renderer.running() == 1).await;
    station.store.delete_rendition(tenant, made.rendition.id, "").await.unwrap();
    until_looked_once(&station, &take).await;
    store(&station, &key).await;
    begin_to_store(&station, &key).await;
    wait_for("the second look", async || {
        is_absent(&station, &key).await && station.blobs.open("").await.unwrap().is_empty()
    })
    .await;
    assert!(!is_absent(&station, &take.key()).await, "the recording goes too");
}
