//! Renditions on an object store that fails while it is given to and taken from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use blob::PartUploads as _;
use model::{EndReason, JobKind, Rendition, RenditionState};
use store::{NewRendition, Store as _};
use support::cluster::{Cluster, PART, TestNode, TestRecording, wait_for};
use testkit::servers::faulty::{Fault, Proxy};

/// How long a request may hang: longer than any takes that doesn't, for each of these would count as one more fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recording that the object store alone has, a node that reaches the store through a proxy, and the proxy.
async fn stored(yard: &Cluster) -> (TestNode, TestRecording, Proxy) {
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.config.render_max_attempts = 100;
    station.start();
    let mut take = station.begin().await;
    // Sent in parts while it grows: no checksum of the whole is known when the object is begun.
    take.grow(2 * PART + 1_000_000);
    station.until_sent(&take, 2).await;
    take.finalize(&station, EndReason::Requested).await;
    station.until_available(&take).await;
    station.until_tidy(&take).await;
    (station, take, proxy)
}

fn new(take: &TestRecording, kind: &str) -> NewRendition {
    NewRendition {
        kind: kind.to_owned(),
        parameters: format!(r#"{{"kind":"{kind}"}}"#),
        object_key: Rendition::object_key(&take.key(), kind, kind),
        content_type: "video/webm".to_owned(),
    }
}

/// Makes a rendition, whatever fails meanwhile. It is what was to be made, and nothing else is left of it.
async fn assert_made_after_all(yard: &Cluster, station: &TestNode, take: &TestRecording, kind: &str) {
    let tenant = &take.begun.tenant;
    let created = station.store.create_rendition(tenant, take.begun.id, &new(take, kind)).await.unwrap();
    let id = created.rendition.id;
    let state = async || station.store.rendition(tenant, id).await.unwrap();
    wait_for(kind, async || {
        let now = state().await;
        assert_ne!(now.state, RenditionState::Parked, "{now:?}");
        now.state == RenditionState::Available
    })
    .await;
    let made = state().await;
    let object = yard.object(&made.object_key).await;
    let wanted = [made.parameters.as_bytes(), &take.content].concat();
    assert!(object == wanted, "{kind}: what was rendered is not what is stored");
    assert_eq!((made.bytes, made.sha256), (wanted.len() as u64, Some(support::sha256(&wanted))), "{kind}");
    yard.assert_no_orphans().await;
    let work: Vec<_> = std::fs::read_dir(&station.config.work).unwrap().collect();
    assert!(work.is_empty(), "{kind}: {work:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_fails_in_every_way_gets_the_rendition_later_and_once() {
    let mut yard = Cluster::new().await;
    yard.attempt_timeout = PATIENCE;
    let (station, take, proxy) = stored(&yard).await;
    let faults: [(&str, &'static str, Fault); 8] = [
        ("begun", "POST ", Fault::Answer(500)),
        ("part_500", "partNumber=2&", Fault::Answer(500)),
        ("part_hangs", "partNumber=2&", Fault::Hang),
        ("part_cut", "partNumber=2&", Fault::CutBody(1_000_000)),
        ("part_flipped", "partNumber=2&", Fault::FlipByte(1_000_000)),
        ("answer_cut", "partNumber=3&", Fault::CutAnswer(0)),
        ("end_unheard", "?uploadId=", Fault::CutAnswer(0)),
        ("not_confirmed", "HEAD ", Fault::Answer(503)),
    ];
    for (kind, request, fault) in faults {
        proxy.breaks(request, 1, fault);
        assert_made_after_all(&yard, &station, &take, kind).await;
    }
    let renders = station.attempts(&take, JobKind::Render).await as usize;
    assert_eq!(renders, faults.len(), "what could not be stored was made again");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_comes_back_broken_is_fetched_again_and_not_rendered() {
    let mut yard = Cluster::new().await;
    yard.attempt_timeout = PATIENCE;
    let (station, take, proxy) = stored(&yard).await;
    let faults = [
        ("refused", Fault::Answer(500)),
        ("hangs", Fault::Hang),
        ("cut", Fault::CutAnswer(1_000_000)),
        ("silent", Fault::StallAnswer(1_000_000)),
        ("flipped", Fault::FlipAnswer(1_000_000)),
    ];
    for (kind, fault) in faults {
        proxy.breaks("x-id=GetObject", 1, fault);
        assert_made_after_all(&yard, &station, &take, kind).await;
    }
    let renders = station.attempts(&take, JobKind::Render).await as usize;
    assert_eq!(renders, 2 * faults.len(), "each fault costs one run");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_not_what_was_sealed_is_not_rendered_and_the_rendition_says_so() {
    let yard = Cluster::new().await;
    let (mut station, take, _proxy) = stored(&yard).await;
    station.stop().await;
    station.config.render_max_attempts = 2;
    station.start();
    let direct = yard.s3(yard.server.url()).await;
    let spoilt = tempfile::NamedTempFile::new().unwrap();
    let mut other = take.content.clone();
    other[2_000_000] ^= 1;
    std::fs::write(spoilt.path(), &other).unwrap();
    let upload = direct.begin(&take.key(), "video/webm").await.unwrap();
    let range = blob::PartRange { number: 1, offset: 0, bytes: other.len() as u64 };
    let part = blob::FilePart { path: spoilt.path(), range };
    let sent = direct.send(&upload, part, &tokio_util::sync::CancellationToken::new()).await.unwrap();
    direct.complete(&upload, &[sent]).await.unwrap();
    let tenant = &take.begun.tenant;
    let created = station.store.create_rendition(tenant, take.begun.id, &new(&take, "mp4")).await.unwrap();
    let state = async || station.store.rendition(tenant, created.rendition.id).await.unwrap();
    wait_for("parked", async || state().await.state == RenditionState::Parked).await;
    let error = state().await.error.unwrap_or_default();
    assert!(error.contains("is not what was sealed"), "{error}");
}
