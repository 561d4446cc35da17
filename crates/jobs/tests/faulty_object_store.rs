//! Renditions with an object store that fails during uploads and downloads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use blob::PartUploads as _;
use model::{EndReason, JobKind, Rendition, RenditionState};
use store::{NewRendition, Store as _};
use support::{
    cluster::{Cluster, PART, TestNode, TestRecording},
    wait_for,
};
use testkit::servers::faulty::{Fault, Proxy};

/// How long a request may take. No request that does not hang takes longer; it would count as another fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recording whose only copy is in the object store; a node that uses the object store through a proxy; the proxy.
async fn stored(cluster: &Cluster) -> (TestNode, TestRecording, Proxy) {
    let proxy = Proxy::to(cluster.server.address()).await.unwrap();
    let mut node = cluster.node_through("a", proxy.url.clone()).await;
    node.config.workers.transcoding_max_retry = 99;
    node.start();
    let mut recording = node.begin().await;
    // Uploaded in parts while it is open: the object store has no checksum of the whole file.
    recording.grow(2 * PART + 1_000_000);
    node.until_sent(&recording, 2).await;
    recording.finalize(&node, EndReason::Requested).await;
    node.until_available(&recording).await;
    node.until_cleaned_up(&recording).await;
    (node, recording, proxy)
}

fn new(recording: &TestRecording, kind: &str) -> NewRendition {
    NewRendition {
        kind: kind.to_owned(),
        parameters: format!(r#"{{"kind":"{kind}"}}"#),
        object_key: Rendition::object_key(&recording.key(), kind, kind),
        content_type: "video/webm".to_owned(),
    }
}

/// Requests a rendition and waits until it is available in spite of the fault. It has the right content, and nothing else is
/// left of it.
async fn assert_made(cluster: &Cluster, node: &TestNode, recording: &TestRecording, kind: &str) {
    let tenant = &recording.begun.tenant;
    let created =
        node.store.create_rendition(tenant, recording.begun.id, &new(recording, kind)).await.unwrap();
    let id = created.rendition.id;
    let state = async || node.store.rendition(tenant, id).await.unwrap();
    wait_for(kind, async || {
        let now = state().await;
        assert_ne!(now.state, RenditionState::Parked, "{now:?}");
        now.state == RenditionState::Available
    })
    .await;
    let made = state().await;
    let object = cluster.object(&made.object_key).await;
    let expected = [made.parameters.as_bytes(), &recording.content].concat();
    assert!(object == expected, "{kind}: the object is not the rendition");
    assert_eq!(
        (made.bytes, made.sha256),
        (expected.len() as u64, Some(support::sha256(&expected))),
        "{kind}"
    );
    cluster.assert_no_orphans().await;
    let work: Vec<_> = std::fs::read_dir(&node.config.workers.work_directory).unwrap().collect();
    assert!(work.is_empty(), "{kind}: {work:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_object_store_only_delays_a_rendition() {
    let mut cluster = Cluster::new().await;
    cluster.attempt_timeout = PATIENCE;
    let (node, recording, proxy) = stored(&cluster).await;
    let faults: [(&str, &'static str, Fault); 8] = [
        ("begun", "POST ", Fault::Answer(500)),
        ("part_500", "partNumber=2&", Fault::Answer(500)),
        ("part_hangs", "partNumber=2&", Fault::Hang),
        ("part_cut", "partNumber=2&", Fault::CutBody(1_000_000)),
        ("part_flipped", "partNumber=2&", Fault::FlipByte(1_000_000)),
        ("answer_cut", "partNumber=3&", Fault::CutAnswer(0)),
        ("completion_unanswered", "?uploadId=", Fault::CutAnswer(0)),
        ("not_confirmed", "HEAD ", Fault::Answer(503)),
    ];
    for (kind, request, fault) in faults {
        proxy.breaks(request, 1, fault);
        assert_made(&cluster, &node, &recording, kind).await;
    }
    let renders = node.attempts(&recording, JobKind::Render).await as usize;
    assert_eq!(renders, faults.len(), "a fault of the object store caused another render");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_arrives_broken_is_fetched_again_and_not_rendered() {
    let mut cluster = Cluster::new().await;
    cluster.attempt_timeout = PATIENCE;
    let (node, recording, proxy) = stored(&cluster).await;
    let faults = [
        ("refused", Fault::Answer(500)),
        ("hangs", Fault::Hang),
        ("cut", Fault::CutAnswer(1_000_000)),
        ("silent", Fault::StallAnswer(1_000_000)),
        ("flipped", Fault::FlipAnswer(1_000_000)),
    ];
    for (kind, fault) in faults {
        proxy.breaks("x-id=GetObject", 1, fault);
        assert_made(&cluster, &node, &recording, kind).await;
    }
    let renders = node.attempts(&recording, JobKind::Render).await as usize;
    assert_eq!(renders, 2 * faults.len(), "each fault costs one run");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_the_finished_file_parks_the_rendition() {
    let cluster = Cluster::new().await;
    let (mut node, recording, _proxy) = stored(&cluster).await;
    node.stop().await;
    node.config.workers.transcoding_max_retry = 1;
    node.start();
    let direct = cluster.s3(cluster.server.url()).await;
    let spoilt = tempfile::NamedTempFile::new().unwrap();
    let mut other = recording.content.clone();
    other[2_000_000] ^= 1;
    std::fs::write(spoilt.path(), &other).unwrap();
    let upload = direct.begin(&recording.key(), "video/webm").await.unwrap();
    let range = blob::PartRange { number: 1, offset: 0, bytes: other.len() as u64 };
    let part = blob::FilePart { path: spoilt.path(), range };
    let sent = direct.send(&upload, part, &tokio_util::sync::CancellationToken::new()).await.unwrap();
    direct.complete(&upload, &[sent]).await.unwrap();
    let tenant = &recording.begun.tenant;
    let created =
        node.store.create_rendition(tenant, recording.begun.id, &new(&recording, "mp4")).await.unwrap();
    let state = async || node.store.rendition(tenant, created.rendition.id).await.unwrap();
    wait_for("parked", async || state().await.state == RenditionState::Parked).await;
    let error = state().await.error.unwrap_or_default();
    assert!(error.contains("is not the finished file"), "{error}");
}
