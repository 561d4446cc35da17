//! Upload while recording, on SQLite and a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, sync::Arc, time::Duration};

use blob::PartUploads as _;
use model::{Container, EndReason, JobKind, JobState, NodeId, RecordingState, Rendition, RenditionState};
use store::{JobOutcome, Store as _};
use support::cluster::{Cluster, PART, TestNode, TestRecording, wait_for};
use testkit::servers::faulty::{Fault, Proxy};

/// It is available under its one key, as it was sealed, and its local copy is gone.
async fn assert_safe(yard: &Cluster, station: &TestNode, take: &TestRecording) {
    station.until_available(take).await;
    station.until_tidy(take).await;
    let row = station.row(take).await;
    assert_eq!((row.state, row.error), (RecordingState::Available, None));
    assert_eq!(row.sha256, Some(take.sha256()));
    assert!(yard.object(&row.object_key.unwrap()).await == take.content, "the object is not what was sealed");
    assert_eq!(station.store.upload_of(take.begun.id).await.unwrap(), None);
    yard.assert_no_orphans().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_final_is_uploaded_while_the_recording_goes_on() {
    let yard = Cluster::new().await;
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    for parts in 1..=4 {
        take.grow(PART);
        station.until_sent(&take, parts).await;
    }
    assert_eq!(proxy.seen("partNumber=1&"), 1, "the first part is sent early, once");
    take.finalize(&station, EndReason::Requested).await;
    assert_safe(&yard, &station, &take).await;
    let sent = |number: &str| proxy.seen(&format!("partNumber={number}&"));
    assert_eq!([sent("1"), sent("2"), sent("3"), sent("4"), sent("5")], [2, 1, 1, 1, 1]);
    assert_eq!((proxy.seen("POST "), station.attempts(&take, JobKind::Upload).await), (2, 1));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_less_than_a_part_is_sent_when_it_ends() {
    let yard = Cluster::new().await;
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    take.grow(PART - 10_000);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!((proxy.seen("POST "), proxy.seen("PUT ")), (0, 0));
    take.finalize(&station, EndReason::Requested).await;
    assert_safe(&yard, &station, &take).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_changes_while_the_recording_goes_on_is_sent_again() {
    let yard = Cluster::new().await;
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    take.grow(2 * PART);
    station.until_sent(&take, 2).await;
    take.join_track();
    wait_for("the first part again", async || proxy.seen("partNumber=1&") == 2).await;
    take.finalize(&station, EndReason::Requested).await;
    assert_safe(&yard, &station, &take).await;
    assert_eq!(proxy.seen("partNumber=1&"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_while_the_recording_went_on_counts_as_progress_of_its_upload() {
    let yard = Cluster::new().await;
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    take.grow(4 * PART);
    station.until_sent(&take, 4).await;
    proxy.breaks("partNumber=5&", 1, Fault::Hang);
    take.finalize(&station, EndReason::Requested).await;
    wait_for("all but the end is there", async || {
        let jobs = station.store.jobs_of(take.begun.id).await.unwrap();
        let told = jobs.into_iter().find(|job| job.kind == JobKind::Upload).and_then(|job| job.progress);
        told.is_some_and(|told| told.fraction > 0.5 && told.fraction < 1.0)
    })
    .await;
    assert_safe(&yard, &station, &take).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_fails_in_every_way_makes_the_upload_lag_and_nothing_else() {
    let mut yard = Cluster::new().await;
    yard.attempt_timeout = Duration::from_secs(5);
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    proxy.breaks("?uploads", 2, Fault::Answer(500));
    proxy.breaks("partNumber=1&", 1, Fault::CutBody(1_000_000));
    proxy.breaks("partNumber=2&", 1, Fault::FlipByte(1_000_000));
    proxy.breaks("partNumber=3&", 1, Fault::Hang);
    proxy.breaks("partNumber=4&", 1, Fault::CutAnswer(0));
    take.grow(4 * PART);
    station.until_sent(&take, 4).await;
    proxy.breaks("?uploadId=", 1, Fault::CutAnswer(0));
    proxy.breaks("HEAD ", 1, Fault::Answer(503));
    take.finalize(&station, EndReason::Requested).await;
    assert_safe(&yard, &station, &take).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_is_away_gets_everything_when_it_is_back() {
    let mut yard = Cluster::new().await;
    let mut station = yard.station("a").await;
    station.start();
    let mut take = station.begin().await;
    take.grow(2 * PART);
    station.until_sent(&take, 2).await;
    yard.server.stop();
    take.grow(2 * PART);
    take.finalize(&station, EndReason::Requested).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(station.row(&take).await.state, RecordingState::Processing);
    yard.server.start_again().await.unwrap();
    assert_safe(&yard, &station, &take).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_parts_that_the_file_still_has_are_not_sent_again() {
    let yard = Cluster::new().await;
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    take.grow(4 * PART);
    station.until_sent(&take, 4).await;
    station.crash().await;
    // What recovery never does to what was final: here it is done to part 3 alone.
    take.patch(2 * PART + 1000, b"changed");
    take.truncate(4 * PART - 1000);
    take.finalize(&station, EndReason::Crash).await;
    station.start();
    assert_safe(&yard, &station, &take).await;
    let sent = |number: &str| proxy.seen(&format!("partNumber={number}&"));
    assert_eq!([sent("1"), sent("2"), sent("3"), sent("4")], [2, 1, 2, 2]);
    assert_eq!(
        proxy.seen("?uploads"),
        1 + 2,
        "one upload is begun, and each start lists those that are open"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_cut_otherwise_is_gone_on_with_as_it_was_cut() {
    const OTHER: usize = PART + (3 << 20);
    for (before, after, parts) in [(PART, OTHER, 5), (OTHER, PART, 4)] {
        let mut yard = Cluster::with_parts_of(before as u64).await;
        let proxy = Proxy::to(yard.server.address()).await.unwrap();
        let mut station = yard.station_through("a", proxy.url.clone()).await;
        station.start();
        let mut take = station.begin().await;
        take.grow(4 * PART + 2_000_000);
        let early = 4 * PART / before;
        station.until_sent(&take, early).await;
        station.crash().await;
        take.finalize(&station, EndReason::Crash).await;
        yard.part_bytes = after as u64;
        station.blobs = Arc::new(yard.s3(proxy.url.clone()).await);
        station.start();
        assert_safe(&yard, &station, &take).await;
        let sent = |number: usize| proxy.seen(&format!("partNumber={number}&"));
        let sent: Vec<_> = (1..=6).map(sent).filter(|&times| times > 0).collect();
        assert_eq!((sent[0], sent.len()), (2, parts), "{sent:?}");
        assert!(sent[1..].iter().all(|&times| times == 1), "{sent:?}");
        assert_eq!(proxy.seen("POST "), 2, "one upload is begun and completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_nobody_saw_is_not_repeated() {
    let yard = Cluster::new().await;
    let proxy = Proxy::to(yard.server.address()).await.unwrap();
    let mut station = yard.station_through("a", proxy.url.clone()).await;
    station.start();
    let mut take = station.begin().await;
    take.grow(2 * PART);
    station.until_sent(&take, 2).await;
    // With the first byte of its answer the server has done what was asked.
    proxy.breaks("?uploadId=", 1, Fault::CutAnswer(1));
    proxy.breaks("HEAD ", 1, Fault::Answer(500));
    take.finalize(&station, EndReason::Requested).await;
    assert_safe(&yard, &station, &take).await;
    assert_eq!(proxy.seen("?uploadId="), 1);
    assert_eq!(proxy.seen("partNumber=2&"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_changes_begins_anew_under_the_other_key() {
    let yard = Cluster::new().await;
    let mut station = yard.station("a").await;
    station.start();
    for live in [true, false] {
        let mut take = station.begin().await;
        take.grow(3 * PART);
        station.until_sent(&take, 3).await;
        take.change_container(Container::Matroska);
        if live {
            let key = take.key();
            let upload = async || station.store.upload_of(take.begun.id).await.unwrap();
            wait_for("the other key", async || upload().await.is_some_and(|(upload, _)| upload.key == key))
                .await;
        }
        take.finalize(&station, EndReason::Requested).await;
        assert_safe(&yard, &station, &take).await;
        take.container = Container::Webm;
        let stored = blob::BlobStore::head(&*station.blobs, &take.key()).await;
        assert!(matches!(stored, Err(blob::BlobError::NotFound(_))), "{stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_somebody_aborted_is_begun_anew() {
    let yard = Cluster::new().await;
    let mut station = yard.station("a").await;
    station.start();
    for live in [true, false] {
        let mut take = station.begin().await;
        take.grow(2 * PART);
        station.until_sent(&take, 2).await;
        for upload in station.blobs.open("").await.unwrap() {
            station.blobs.abort(&upload).await.unwrap();
        }
        if live {
            take.grow(2 * PART);
            station.until_sent(&take, 4).await;
        }
        take.finalize(&station, EndReason::Requested).await;
        assert_safe(&yard, &station, &take).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_no_recording_needs_are_aborted() {
    let yard = Cluster::new().await;
    let mut station = yard.station("a").await;
    station.start();
    let (mut deleted, mut lost) = (station.begin().await, station.begin().await);
    for take in [&mut deleted, &mut lost] {
        take.grow(2 * PART);
        station.until_sent(take, 2).await;
    }
    station.crash().await;
    // A row that the crash came before.
    let (upload, _) = station.store.upload_of(lost.begun.id).await.unwrap().unwrap();
    station.store.forget_upload(lost.begun.id, &upload.id).await.unwrap();
    deleted.finalize(&station, EndReason::Requested).await;
    let leased = station.store.lease(&station.config.node, JobKind::ALL, Duration::from_secs(60)).await;
    let done = JobOutcome::Done { recording_state: Some(RecordingState::Deleted), next: Vec::new() };
    station.store.finish(&leased.unwrap().unwrap(), done).await.unwrap();
    // Of a node that lives, and of something else.
    let other = station.blobs.begin("other/file", "video/webm").await.unwrap();
    station.start();
    wait_for("the abort", async || station.blobs.open("").await.unwrap() == [other.clone()]).await;
    let forgotten = async || station.store.uploads_on(&station.config.node).await.unwrap().is_empty();
    wait_for("the journal to forget it", forgotten).await;
    station.blobs.abort(&other).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_node_had_sent_is_completed_by_another_and_replaced_when_it_comes_back() {
    let yard = Cluster::new().await;
    let (mut lost, mut other) = (yard.station("lost").await, yard.station("other").await);
    (lost.wanted, other.wanted) = (vec!["copy"], vec!["copy"]);
    lost.start();
    let (mut live, mut sealed, mut short) = (lost.begin().await, lost.begin().await, lost.begin().await);
    for take in [&mut live, &mut sealed] {
        take.grow(3 * PART + 1000);
        lost.until_sent(take, 3).await;
    }
    short.grow(PART);
    lost.until_sent(&short, 1).await;
    lost.beat().await;
    lost.crash().await;
    let at_crash = live.content.clone();
    sealed.finalize(&lost, EndReason::Requested).await;
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    for take in [&live, &sealed] {
        other.until_available(take).await;
        let row = other.row(take).await;
        assert!(row.error.as_ref().unwrap().contains("node lost was lost"), "{row:?}");
        assert_eq!(row.object_key, Some(take.key()));
        assert!(yard.object(&take.key()).await == at_crash[..3 * PART] || take.begun.id == sealed.begun.id);
        let part = yard.object(&take.key()).await;
        assert_eq!(part.len(), 3 * PART);
        assert_copied(&yard, &other, take, &part).await;
    }
    other.until_available(&short).await;
    assert!(yard.object(&short.key()).await == short.content[..PART], "of one part there is that");
    assert_copied(&yard, &other, &short, &short.content[..PART]).await;
    yard.assert_no_orphans().await;
    // From now on nobody is to be taken for lost, however slow it is.
    other.stop().await;
    other.config.node_lost_after = Some(Duration::from_secs(3600));
    other.start();
    lost.beat().await;
    for take in [&mut live, &mut short] {
        take.finalize(&lost, EndReason::Crash).await;
    }
    lost.start();
    for take in [&live, &sealed, &short] {
        let whole = async || lost.row(take).await.error.is_none() && !take.directory.exists();
        wait_for("the whole recording", whole).await;
        assert_copied(&yard, &lost, take, &take.content).await;
    }
    // Now that no upload of another is under way.
    for take in [&live, &sealed, &short] {
        assert_safe(&yard, &lost, take).await;
    }
}

/// The one rendition that is wanted is made of this, in the end.
async fn assert_copied(yard: &Cluster, station: &TestNode, take: &TestRecording, media: &[u8]) {
    let renditions = async || station.store.renditions_of(&take.begun.tenant, take.begun.id).await.unwrap();
    let whole = |one: &Rendition| one.bytes == (one.parameters.len() + media.len()) as u64;
    wait_for("the rendition", async || renditions().await.iter().any(whole)).await;
    let made = renditions().await;
    assert_eq!((made.len(), made[0].state, made[0].kind.as_str()), (1, RenditionState::Available, "copy"));
    let object = yard.object(&made[0].object_key).await;
    assert!(object == [made[0].parameters.as_bytes(), media].concat(), "it was made of something else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lives_is_not_rescued() {
    let yard = Cluster::new().await;
    let (mut station, mut other) = (yard.station("a").await, yard.station("other").await);
    let lost_after = Duration::from_secs(5);
    other.config.node_lost_after = Some(lost_after);
    let _beats = station.keep_beating().await;
    station.start();
    other.start();
    let mut take = station.begin().await;
    take.grow(2 * PART);
    station.until_sent(&take, 2).await;
    // Without its beats it would be taken for lost by then.
    tokio::time::sleep(lost_after + Duration::from_secs(2)).await;
    assert_eq!(station.row(&take).await.state, RecordingState::Recording);
    take.finalize(&station, EndReason::Requested).await;
    assert_safe(&yard, &station, &take).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_was_sent_is_not_removed() {
    let yard = Cluster::new().await;
    let mut station = yard.station("a").await;
    station.config.max_attempts = 2;
    station.start();
    let mut take = station.begin().await;
    take.grow(3 * PART);
    station.until_sent(&take, 3).await;
    let at_stop = take.content[PART..].to_vec();
    take.patch(PART + 7, b"changed on the disk after it was final");
    take.finalize(&station, EndReason::Requested).await;
    let parked = async || {
        let jobs = station.store.jobs_of(take.begun.id).await.unwrap();
        jobs.iter().any(|job| job.kind == JobKind::CleanUp && job.state == JobState::Parked)
    };
    wait_for("parked", parked).await;
    assert!(station.row(&take).await.error.unwrap().contains("changed since it was sent"));
    assert!(fs::read(take.file()).unwrap() == take.content);
    assert!(yard.object(&take.key()).await[PART..3 * PART] == at_stop[..2 * PART]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_recordings_share_the_places() {
    let yard = Cluster::new().await;
    let mut station = yard.station("a").await;
    station.config.upload_workers = 2;
    assert_eq!(station.config.node, "a".parse::<NodeId>().unwrap());
    station.start();
    let mut takes = Vec::new();
    for _ in 0..6 {
        let mut take = station.begin().await;
        take.grow(2 * PART);
        takes.push(take);
    }
    for take in &takes {
        station.until_sent(take, 2).await;
    }
    for take in &mut takes {
        take.finalize(&station, EndReason::Requested).await;
    }
    for take in &takes {
        assert_safe(&yard, &station, take).await;
    }
}
