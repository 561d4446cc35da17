//! Two recorders on one database.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use proto::recorder::v1::{CancelJobRequest, RenditionState};

use crate::{
    render::{PATIENCE, available, children, client, create, film, long_work, rendition, under_way, work},
    support::{Place, ok, wait_for},
};

/// What a caller was promised.
const AT_ONCE: Duration = Duration::from_millis(200);
/// What a machine that does many other things at the same time may add to it. Without being told, a run would notice a second
/// after it has shown how far it is.
const GENEROUS: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn a_render_on_one_node_is_cancelled_by_the_other_at_once_and_leaves_nothing() {
    let place = Place::production().await;
    // A lease so long that nobody would notice by it.
    let node = |id: &str| place.config().env("ID", id).env("RECORDER__JOBS__LEASE", "60s");
    let first = ok(node("first").start().await, "the first recorder");
    let second = ok(node("second").start().await, "the second recorder");
    let mut client = client(&first);
    let id = film(&first).await;
    let recording = available(&mut client, &id).await;
    // From then on both nodes have to fetch it.
    let local = first.data_dir().join("spool").join(&id);
    assert!(wait_for(PATIENCE, async || !local.exists()).await, "the local copy stays");
    let mut took = Vec::new();
    let mut nodes = [0, 0];
    while nodes.contains(&0) {
        assert!(took.len() < 20, "one node has all renders: {nodes:?}");
        let wanted = create(&mut client, &id, long_work()).await;
        under_way(&mut client, &wanted).await;
        let runs_on = [&first, &second].map(|recorder| children(recorder).len());
        let (there, here) = match runs_on {
            [1, 0] => (0, &second),
            [0, 1] => (1, &first),
            other => return assert_eq!(other, [1, 0], "processes"),
        };
        let (runs, mut asked) = ([&first, &second][there], crate::render::client(here));
        let begun = Instant::now();
        ok(asked.cancel_job(CancelJobRequest { id: wanted.job_id.clone() }).await, "the cancellation");
        let answered = begun.elapsed();
        while !(children(runs).is_empty() && work(runs).is_empty()) {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let gone = begun.elapsed();
        assert!(gone < AT_ONCE + GENEROUS, "answered after {answered:?}, gone after {gone:?}");
        took.push(gone);
        rendition(&mut client, &wanted, RenditionState::Cancelled).await;
        nodes[there] += 1;
    }
    eprintln!("cancelled on the other node within {took:?}, renders by node: {nodes:?}");
    assert_eq!(place.keys().await, [recording.object_key]);
    for recorder in [&first, &second] {
        assert_eq!(work(recorder), Vec::<PathBuf>::new());
    }
}
