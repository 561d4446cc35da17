//! A node that comes back without its disk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{fs, time::Duration};

use model::{EndReason, JobKind, JobState, RecordingState};
use store::Store as _;
use support::cluster::{Cluster, PART, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rescued_stays_available_when_its_node_is_back_without_its_disk() {
    let yard = Cluster::new().await;
    let (mut lost, mut other) = (yard.station("lost").await, yard.station("other").await);
    lost.start();
    let mut take = lost.begin().await;
    take.grow(3 * PART + 1000);
    lost.until_sent(&take, 3).await;
    lost.beat().await;
    lost.crash().await;
    take.finalize(&lost, EndReason::Requested).await;
    other.config.node_lost_after = Some(Duration::from_millis(300));
    other.start();
    other.until_available(&take).await;
    fs::remove_dir_all(&take.directory).unwrap();

    lost.beat().await;
    lost.start();
    let uploaded = async || {
        let jobs = lost.store.jobs_of(take.begun.id).await.unwrap();
        let state = jobs.iter().find(|job| job.kind == JobKind::Upload).unwrap().state;
        assert_ne!(state, JobState::Parked);
        state == JobState::Done
    };
    wait_for("the upload's end", uploaded).await;
    let row = lost.row(&take).await;
    assert_eq!(row.state, RecordingState::Available, "{row:?}");
    assert!(row.error.unwrap().contains("node lost was lost"), "what is missing stays said");
    assert_eq!(yard.object(&take.key()).await.len(), 3 * PART);
}
