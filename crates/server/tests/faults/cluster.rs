//! Two recorders on one database.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use proto::recorder::v1::{CancelJobRequest, Preset, Rendition, RenditionState};
use testkit::recorder::Recorder;

use crate::{
    render::{PATIENCE, available, children, client, create, film, mp4, rendition, under_way, work},
    support::{Place, ok, wait_for},
};

/// What a caller was promised. How often that is kept by a machine that has two encoders to run is printed.
const AT_ONCE: Duration = Duration::from_millis(200);
/// Without being told, a run would notice a second after it has shown how far it is.
const UNTOLD: Duration = Duration::from_secs(1);
/// Rounds at most, until it was at once on each node.
const TRIES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_render_on_one_node_is_cancelled_by_the_other_at_once_and_leaves_nothing() {
    let place = Place::production().await;
    // A lease so long that nobody would notice by it, and room for one render on each.
    let node = |id: &str| {
        let config = place.config().env("ID", id).env("RECORDER__JOBS__LEASE", "60s");
        config.env("RECORDER__JOBS__TRANSCODING_WORKERS", "1")
    };
    let first = ok(node("first").start().await, "the first recorder");
    let second = ok(node("second").start().await, "the second recorder");
    let nodes = [&first, &second];
    let mut client = client(&first);
    let id = film(&first).await;
    let recording = available(&mut client, &id).await;
    // From then on both nodes have to fetch it.
    let local = first.data_dir().join("spool").join(&id);
    assert!(wait_for(PATIENCE, async || !local.exists()).await, "the local copy stays");
    let mut took = [Vec::new(), Vec::new()];
    while took[0].len() < TRIES && took.iter().any(|took| took.iter().all(|took| *took >= AT_ONCE)) {
        // Whoever takes one leaves the next to the other.
        let one = create(&mut client, &id, mp4(1080, Preset::Slower)).await;
        under_way(&mut client, &one).await;
        let on = running_on(nodes);
        let other = create(&mut client, &id, mp4(1078, Preset::Slower)).await;
        under_way(&mut client, &other).await;
        assert_eq!(nodes.map(|node| children(node).len()), [1, 1], "processes");
        for (wanted, on) in [(other, 1 - on), (one, on)] {
            took[on].push(cancelled_by(nodes[1 - on], &wanted, nodes[on]).await);
            rendition(&mut client, &wanted, RenditionState::Cancelled).await;
        }
    }
    eprintln!("cancelled by the other node, gone on each within {took:?}");
    assert!(took.iter().all(|took| took.iter().any(|took| *took < UNTOLD)), "gone on each after {took:?}");
    assert_eq!(place.keys().await, [recording.object_key]);
    for recorder in nodes {
        assert_eq!(work(recorder), Vec::<PathBuf>::new());
    }
}

/// Which of two nodes runs the one render.
fn running_on(nodes: [&Recorder; 2]) -> usize {
    let runs = nodes.map(|node| children(node).len());
    assert!(matches!(runs, [1, 0] | [0, 1]), "processes: {runs:?}");
    runs[1]
}

/// Cancels a render by a call to one node; how long it took until nothing of it was left on the other.
async fn cancelled_by(asked: &Recorder, wanted: &Rendition, runs: &Recorder) -> Duration {
    let (mut asked, begun) = (client(asked), Instant::now());
    ok(asked.cancel_job(CancelJobRequest { id: wanted.job_id.clone() }).await, "the cancellation");
    while !(children(runs).is_empty() && work(runs).is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it goes on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}
