//! Renditions, deletion and retention, on SQLite and a directory of objects.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use jobs::{RenderError, RetentionRule};
use model::{JobKind, JobState, Progress, Recording, RecordingState, RenditionState};
use store::{Cancellation, Store as _};
use support::{local_node::LocalNode, renderer::Render, wait_for};

const MEDIA: &[u8] = b"media";
/// A render whose job is cancelled ends within this time.
const AT_ONCE: Duration = Duration::from_millis(200);

/// A finalized recording with renditions of these kinds requested.
async fn finalize(node: &LocalNode, kinds: &[&str]) -> Recording {
    node.finalize_with(MEDIA, kinds, |_| {}).await
}

fn assert_holds(path: &Path, kind: &str) {
    let want = [format!(r#"{{"kind":"{kind}"}}"#).as_bytes(), MEDIA].concat();
    assert_eq!(fs::read(path).unwrap(), want);
}

#[tokio::test]
async fn renditions_requested_at_the_end_and_later_are_made_and_stored() {
    let node = LocalNode::new().await;
    node.start();
    let recording = finalize(&node, &["mp3", "wav"]).await;
    node.until_cleaned_up(&recording).await;
    node.request(&recording, "mp4").await;
    let renditions = node.renditions(&recording).await;
    assert_eq!(renditions.len(), 3);
    for made in renditions {
        let made = node.until_rendition(&recording, made.id, RenditionState::Available).await;
        let object = node.object_at(&made.object_key);
        assert_holds(&object, &made.kind);
        assert_eq!(made.bytes, fs::metadata(&object).unwrap().len());
        assert_eq!((made.width, made.height, made.duration), (640, 360, Duration::from_secs(1)));
        assert_eq!(made.sha256, Some(support::sha256(&fs::read(object).unwrap())));
    }
    wait_for("no work is left", async || {
        fs::read_dir(&node.config.workers.work_directory).unwrap().count() == 0
    })
    .await;
    let row = node.row(&recording).await;
    assert_eq!((row.state, row.error), (RecordingState::Available, None));
}

#[tokio::test]
async fn a_clean_up_waits_for_renders_without_counting_attempts() {
    let mut node = LocalNode::new().await;
    node.config.keep_for_renders = Duration::from_secs(3600);
    node.renderer.script([Render::RunsUntilCancelled(Progress::default())]);
    node.start();
    let recording = finalize(&node, &["mp3"]).await;
    let clean_up = async || node.job(&recording, JobKind::CleanUp).await;
    wait_for("the clean-up waits", async || clean_up().await.is_some_and(|job| job.run_at > Utc::now()))
        .await;
    assert!(node.spooled(&recording).exists());
    let clean_up = clean_up().await.unwrap();
    assert_eq!((clean_up.state, clean_up.attempts), (JobState::Queued, 0));
    assert!(clean_up.run_at - Utc::now() <= TimeDelta::seconds(10));
}

#[tokio::test]
async fn media_that_can_not_be_rendered_parks_the_rendition_with_its_error() {
    let node = LocalNode::new().await;
    node.renderer.script([Render::Fails(RenderError::Permanent("the input can't be read: EBML".into()))]);
    node.start();
    let recording = finalize(&node, &["mp3"]).await;
    let id = node.renditions(&recording).await[0].id;
    let parked = node.until_rendition(&recording, id, RenditionState::Parked).await;
    assert_eq!(parked.error.as_deref(), Some("the input can't be read: EBML"));
    assert_eq!(node.renderer.begun(), 1);
    wait_for("available", async || node.state(&recording).await == RecordingState::Available).await;
    node.store.retry(&recording.tenant, parked.job).await.unwrap();
    node.until_rendition(&recording, id, RenditionState::Available).await;
}

#[tokio::test]
async fn a_render_whose_process_dies_is_retried_a_few_times() {
    let node = LocalNode::new().await;
    let killed = || Render::Fails(RenderError::Transient("ended by signal 9".into()));
    node.renderer.script([killed(), Render::Panics, killed()]);
    node.start();
    let recording = finalize(&node, &["mp3"]).await;
    let id = node.renditions(&recording).await[0].id;
    let parked = node.until_rendition(&recording, id, RenditionState::Parked).await;
    assert_eq!((node.renderer.begun(), parked.error.as_deref()), (3, Some("ended by signal 9")));
    node.assert_no_work_is_left();
}

#[tokio::test]
async fn a_cancelled_render_stops_at_once_and_leaves_no_file() {
    let node = LocalNode::new().await;
    let progress = Progress { fraction: 0.25, speed: 3.5, remaining: Some(Duration::from_secs(9)) };
    node.start();
    let recording = finalize(&node, &[]).await;
    let mut took = Vec::new();
    // The best of several: a machine that does other things is late at times, but not each time.
    while took.iter().all(|took| *took >= AT_ONCE) {
        assert!(took.len() < 8, "gone after {took:?}");
        node.renderer.script([Render::RunsUntilCancelled(progress)]);
        let id = node.request(&recording, "mp4").await;
        let job = node.until_rendition(&recording, id, RenditionState::InProgress).await.job;
        let state = async || node.store.job(&recording.tenant, job).await.unwrap();
        wait_for("progress", async || state().await.progress == Some(progress)).await;

        assert_eq!(node.store.cancel(&recording.tenant, job).await.unwrap(), Cancellation::Cancelled);
        let asked = Instant::now();
        while node.renderer.running() > 0
            || fs::read_dir(&node.config.workers.work_directory).unwrap().count() > 0
        {
            assert!(asked.elapsed() < Duration::from_secs(10), "the render runs on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(asked.elapsed());
        assert_eq!(node.renderer.cancelled(), took.len());
        let cancelled = node.rendition(&recording, id).await;
        assert_eq!(cancelled.state, RenditionState::Cancelled);
        assert!(!node.object_at(&cancelled.object_key).exists());
        assert_eq!(state().await.state, JobState::Cancelled);
    }
    eprintln!("gone after {took:?}");

    let id = node.request(&recording, "mp4").await;
    node.until_rendition(&recording, id, RenditionState::Available).await;
}

#[tokio::test]
async fn progress_is_committed_at_most_once_a_second() {
    let node = LocalNode::new().await;
    node.renderer.script([Render::ReportsOften]);
    node.start();
    let begun = Instant::now();
    let recording = finalize(&node, &["mp3"]).await;
    let mut written = Vec::new();
    wait_for("progress three times", async || {
        let render = node.job(&recording, JobKind::Render).await.unwrap();
        let fraction = render.progress.map_or(0.0, |progress| progress.fraction);
        // The first progress, of zero, only says that the run has begun.
        if fraction > 0.0 && written.last() != Some(&fraction) {
            written.push(fraction);
        }
        written.len() == 3
    })
    .await;
    // Even on an idle machine the third is not written sooner than two seconds after the first.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{written:?} within {:?}", begun.elapsed());
    assert!(node.renderer.steps() > 30, "{} steps", node.renderer.steps());
}

#[tokio::test]
async fn a_shutdown_gives_a_render_back() {
    let mut node = LocalNode::new().await;
    node.renderer.script([Render::RunsUntilCancelled(Progress::default())]);
    node.start();
    let recording = finalize(&node, &["mp3"]).await;
    wait_for("the render", async || node.renderer.running() == 1).await;
    node.stop().await;
    node.assert_no_work_is_left();
    let render = node.job(&recording, JobKind::Render).await.unwrap();
    assert_eq!((render.state, render.attempts), (JobState::Queued, 0));
}

#[tokio::test]
async fn a_deleted_recording_leaves_no_object_and_no_local_file() {
    let mut node = LocalNode::new().await;
    node.config.keep_for_renders = Duration::from_secs(3600);
    node.start();
    let recording = finalize(&node, &["mp3"]).await;
    let made = node.renditions(&recording).await.remove(0);
    node.until_rendition(&recording, made.id, RenditionState::Available).await;
    let object = node.object(&recording);
    wait_for("available", async || node.state(&recording).await == RecordingState::Available).await;
    node.store.delete_recording(&recording.tenant, recording.id, "desk").await.unwrap();
    let rendered = node.object_at(&made.object_key);
    let is_gone = async || !object.exists() && !rendered.exists() && !node.spooled(&recording).exists();
    wait_for("everything is gone", is_gone).await;
}

#[tokio::test]
async fn a_recording_that_is_deleted_while_it_is_rendered_leaves_nothing() {
    let mut node = LocalNode::new().await;
    // The deletion looks again after two leases.
    node.config.workers.lease = Duration::from_secs(3).into();
    node.renderer.script([Render::RunsUntilCancelled(Progress::default())]);
    node.start();
    let recording = finalize(&node, &["mp3"]).await;
    wait_for("the render", async || node.renderer.running() == 1).await;
    node.store.delete_recording(&recording.tenant, recording.id, "").await.unwrap();
    wait_for("the render is cancelled", async || node.renderer.cancelled() == 1).await;
    let jobs = async || node.store.jobs_of(recording.id).await.unwrap();
    wait_for("all jobs end", async || jobs().await.iter().all(|job| job.state.is_final())).await;
    assert!(!node.object(&recording).exists());
    assert!(!node.spooled(&recording).exists());
    node.assert_no_work_is_left();
}

#[tokio::test]
async fn retention_deletes_what_is_older_than_a_rule_allows_and_nothing_else() {
    let mut node = LocalNode::new().await;
    let rule = |rendition: Option<&str>, after: Duration| RetentionRule {
        tenant: None,
        rendition: rendition.map(|kind| kind.parse().unwrap()),
        after: after.into(),
    };
    node.config.workers.retention_interval = Duration::from_millis(50).into();
    node.config.retention = vec![rule(Some("mp3"), Duration::ZERO), rule(None, Duration::from_secs(3600))];
    node.start();
    let recording = finalize(&node, &["mp3", "wav"]).await;
    let renditions = node.renditions(&recording).await;
    let gone = node.until_rendition(&recording, renditions[0].id, RenditionState::Deleted).await;
    wait_for("the object is gone", async || !node.object_at(&gone.object_key).exists()).await;
    node.until_rendition(&recording, renditions[1].id, RenditionState::Available).await;
    assert_ne!(node.state(&recording).await, RecordingState::Deleted);
    let audit = node.store.audit_of(&recording.tenant, recording.id).await.unwrap();
    assert_eq!((audit.len(), audit[0].actor.as_str()), (1, "retention"));
}
