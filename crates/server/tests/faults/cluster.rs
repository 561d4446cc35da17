//! Two recorders on one Postgres and one bucket.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use proto::recorder::v1::{CancelJobRequest, Preset, Rendition, RenditionState};
use testkit::recorder::Recorder;

use crate::{
    render::{PATIENCE, available, children, client, create, film, mp4, rendition, under_way, work},
    support::{TestBackend, ok, wait_for},
};

/// The promised time of a cancellation. The test prints how often a machine that runs two encoders achieves it.
const AT_ONCE: Duration = Duration::from_millis(200);
/// Without a notification, a run would notice its cancellation one second after its last progress.
const WITHOUT_NOTIFICATION: Duration = Duration::from_secs(1);
/// Maximum of rounds, until a cancellation was prompt on each node.
const TRIES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_render_is_cancelled_by_the_other_node_at_once_and_leaves_no_files() {
    let backend = TestBackend::production().await;
    // A lease so long that its end would be noticed too late, and one render at a time on each node.
    let node = |id: &str| {
        let config = backend.config().env("ID", id).env("RECORDER__JOBS__LEASE", "60s");
        config.env("RECORDER__JOBS__TRANSCODING_WORKERS", "1")
    };
    let first = ok(node("first").start().await, "the first recorder");
    let second = ok(node("second").start().await, "the second recorder");
    let nodes = [&first, &second];
    let mut client = client(&first);
    let id = film(&first).await;
    let recording = available(&mut client, &id).await;
    // From now on both nodes have to download the object.
    let local = first.data_dir().join("spool").join(&id);
    assert!(wait_for(PATIENCE, async || !local.exists()).await, "the local copy stays");
    let mut took = [Vec::new(), Vec::new()];
    while took[0].len() < TRIES && took.iter().any(|took| took.iter().all(|took| *took >= AT_ONCE)) {
        // Each node runs one render at a time.
        let one = create(&mut client, &id, mp4(1080, Preset::Slower)).await;
        under_way(&mut client, &one).await;
        let on = running_on(nodes);
        let other = create(&mut client, &id, mp4(1078, Preset::Slower)).await;
        under_way(&mut client, &other).await;
        assert_eq!(nodes.map(|node| children(node).len()), [1, 1], "processes");
        for (requested, on) in [(other, 1 - on), (one, on)] {
            took[on].push(cancelled_by(nodes[1 - on], &requested, nodes[on]).await);
            rendition(&mut client, &requested, RenditionState::Cancelled).await;
        }
    }
    eprintln!("cancelled by the other node; no process and file left on each after {took:?}");
    assert!(
        took.iter().all(|took| took.iter().any(|took| *took < WITHOUT_NOTIFICATION)),
        "time until no process and file was left on each: {took:?}"
    );
    assert_eq!(backend.keys().await, [recording.object_key]);
    for recorder in nodes {
        assert_eq!(work(recorder), Vec::<PathBuf>::new());
    }
}

/// Which of two nodes runs the render.
fn running_on(nodes: [&Recorder; 2]) -> usize {
    let runs = nodes.map(|node| children(node).len());
    assert!(matches!(runs, [1, 0] | [0, 1]), "processes: {runs:?}");
    runs[1]
}

/// Cancels a render by a call to one node. Returns the time until the other node had no process and file of it.
async fn cancelled_by(node: &Recorder, requested: &Rendition, runs: &Recorder) -> Duration {
    let (mut client, begun) = (client(node), Instant::now());
    ok(client.cancel_job(CancelJobRequest { id: requested.job_id.clone() }).await, "the cancellation");
    while !(children(runs).is_empty() && work(runs).is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the render continues");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}
