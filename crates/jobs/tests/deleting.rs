//! A deletion removes what killed runs had begun to store, and what cancelled runs store after it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use blob::{BlobError, BlobStore as _, FilePart, PartRange, PartUploads as _, PutFile};
use model::{EndReason, Job, JobKind, JobState, Progress, Rendition};
use store::{NewRendition, Store as _};
use support::{
    cluster::{Cluster, TestNode, TestRecording},
    renderer::Render,
    wait_for,
};
use testkit::servers::faulty::{Fault, Proxy};
use tokio_util::sync::CancellationToken;

/// A recording whose only copy is in the object store, on a node with short leases.
async fn stored(cluster: &Cluster) -> (TestNode, TestRecording) {
    stored_by(cluster.node("a").await).await
}

async fn stored_by(mut node: TestNode) -> (TestNode, TestRecording) {
    // The removal is repeated after two leases. In that time a slow machine has to store something.
    node.config.workers.lease = Duration::from_secs(5).into();
    node.start();
    let mut recording = node.begin().await;
    recording.grow(10_000);
    recording.finalize(&node, EndReason::Requested).await;
    node.until_available(&recording).await;
    node.until_cleaned_up(&recording).await;
    (node, recording)
}

fn new(recording: &TestRecording) -> NewRendition {
    NewRendition {
        kind: "wav".to_owned(),
        parameters: r#"{"kind":"wav"}"#.to_owned(),
        object_key: Rendition::object_key(&recording.key(), "wav", "wav"),
        content_type: "audio/wav".to_owned(),
    }
}

/// Begins to upload something under a key and stops there, as a killed process does.
async fn begin_to_store(node: &TestNode, key: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 1000]).unwrap();
    let upload = node.blobs.begin(key, "audio/wav").await.unwrap();
    let part = FilePart { path: file.path(), range: PartRange { number: 1, offset: 0, bytes: 1000 } };
    node.blobs.send(&upload, part, &CancellationToken::new()).await.unwrap();
}

async fn store(node: &TestNode, key: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 1000]).unwrap();
    let put = PutFile { key, path: file.path(), content_type: "audio/wav", sha256: None, confirmed: None };
    node.blobs.put_file(put, &CancellationToken::new()).await.unwrap();
}

/// Waits until the removal has been done once and is due again later.
async fn until_removed_once(node: &TestNode, recording: &TestRecording) {
    wait_for("the first removal", async || {
        let jobs = node.store.jobs_of(recording.begun.id).await.unwrap();
        let waits = |job: &Job| {
            job.state == JobState::Queued && job.run_at > job.created_at + node.config.workers.lease.0
        };
        jobs.iter().any(|job| job.kind == JobKind::Delete && waits(job))
    })
    .await;
}

/// Waits until all jobs of the recording have ended.
async fn until_jobs_end(node: &TestNode, recording: &TestRecording) {
    wait_for("the end of all jobs", async || {
        node.store.jobs_of(recording.begun.id).await.unwrap().iter().all(|job| job.state.is_final())
    })
    .await;
}

/// Keys of the open multipart uploads.
async fn open_uploads(node: &TestNode) -> Vec<String> {
    let open = node.blobs.open("").await.unwrap();
    open.into_iter().map(|upload| upload.key).collect()
}

async fn is_absent(node: &TestNode, key: &str) -> bool {
    matches!(node.blobs.head(key).await, Err(BlobError::NotFound(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_of_a_killed_render_is_aborted_when_its_recording_is_deleted() {
    let cluster = Cluster::new().await;
    let (node, recording) = stored(&cluster).await;
    let other = node.begin().await;
    begin_to_store(&node, &new(&recording).object_key).await;
    begin_to_store(&node, &new(&other).object_key).await;
    node.store.delete_recording(&recording.begun.tenant, recording.begun.id, "").await.unwrap();
    // Not only until the upload is aborted: the object is removed after that.
    until_jobs_end(&node, &recording).await;
    assert_eq!(open_uploads(&node).await, [new(&other).object_key]);
    assert!(is_absent(&node, &recording.key()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_midway_is_repeated_until_nothing_is_left() {
    let cluster = Cluster::new().await;
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let (node, recording) = stored_by(cluster.node_through("a", proxy.url.clone()).await).await;
    begin_to_store(&node, &new(&recording).object_key).await;
    // The uploads are aborted first. Then the object can't be removed, twice.
    proxy.breaks("x-id=DeleteObject", 2, Fault::Answer(503));
    node.store.delete_recording(&recording.begun.tenant, recording.begun.id, "").await.unwrap();
    until_jobs_end(&node, &recording).await;
    assert_eq!(node.attempts(&recording, JobKind::Delete).await, 3);
    assert_eq!(open_uploads(&node).await, [""; 0]);
    assert!(is_absent(&node, &recording.key()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_a_render_stores_after_its_recording_was_deleted_is_removed() {
    let cluster = Cluster::new().await;
    let (node, recording) = stored(&cluster).await;
    node.renderer.script([Render::RunsUntilCancelled(Progress::default())]);
    let (tenant, id, key) = (&recording.begun.tenant, recording.begun.id, new(&recording).object_key);
    node.store.create_rendition(tenant, id, &new(&recording)).await.unwrap();
    wait_for("the render", async || node.renderer.running() == 1).await;
    node.store.delete_recording(tenant, id, "").await.unwrap();
    until_removed_once(&node, &recording).await;
    assert!(is_absent(&node, &recording.key()).await);
    // As if the cancelled run had sent it before it stopped, and the object store had taken it late.
    store(&node, &key).await;
    begin_to_store(&node, &key).await;
    wait_for("the second removal", async || {
        is_absent(&node, &key).await && open_uploads(&node).await.is_empty()
    })
    .await;
    until_jobs_end(&node, &recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_a_render_stores_after_its_rendition_was_deleted_is_removed() {
    let cluster = Cluster::new().await;
    let (node, recording) = stored(&cluster).await;
    node.renderer.script([Render::RunsUntilCancelled(Progress::default())]);
    let (tenant, key) = (&recording.begun.tenant, new(&recording).object_key);
    let made = node.store.create_rendition(tenant, recording.begun.id, &new(&recording)).await.unwrap();
    wait_for("the render", async || node.renderer.running() == 1).await;
    node.store.delete_rendition(tenant, made.rendition.id, "").await.unwrap();
    until_removed_once(&node, &recording).await;
    store(&node, &key).await;
    begin_to_store(&node, &key).await;
    wait_for("the second removal", async || {
        is_absent(&node, &key).await && open_uploads(&node).await.is_empty()
    })
    .await;
    assert!(!is_absent(&node, &recording.key()).await, "the recording was removed too");
}
