//! Leases, and waiting for jobs.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use model::{JobKind, JobState, RecordingState};

use super::sample::{LONG, ago, clean_up, lease, node, tenant, upload, write_with_jobs};
use crate::{JobOutcome, LeasedJob, NewJob, Store, StoreError};

/// The length of a lease that expires at once.
const EXPIRED: Duration = Duration::ZERO;

const DONE: JobOutcome =
    JobOutcome::Done { recording_state: Some(RecordingState::Available), next: Vec::new() };

pub async fn a_lease_takes_the_job_that_is_due_longest(store: &dyn Store) {
    let mut expected = Vec::new();
    for seconds in [20, 40, 30] {
        let recording = write_with_jobs(store, vec![NewJob { run_at: ago(seconds), ..upload() }]).await;
        expected.push((seconds, recording.id));
    }
    expected.sort_by_key(|(seconds, _)| -seconds);
    for (_, recording) in expected {
        let leased = lease(store).await.unwrap();
        assert_eq!(leased.job.recording, recording);
        assert_eq!(leased.job.state, JobState::InProgress);
        assert!(leased.until > Utc::now());
    }
    assert_eq!(lease(store).await, None);
}

pub async fn a_lease_is_exclusive_among_twenty_workers(store: &dyn Store) {
    const JOBS: usize = 60;
    for _ in 0..JOBS / 2 {
        write_with_jobs(store, vec![upload(), clean_up()]).await;
    }
    let worker = || async {
        let mut taken = Vec::new();
        while let Some(leased) = lease(store).await {
            taken.push(leased);
        }
        taken
    };
    let workers = join_all((0..20).map(|_| worker())).await;
    let leases: Vec<LeasedJob> = workers.into_iter().flatten().collect();
    let jobs: HashSet<_> = leases.iter().map(|leased| leased.job.id).collect();
    let tokens: HashSet<_> = leases.iter().map(|leased| leased.lease).collect();
    assert_eq!((leases.len(), jobs.len(), tokens.len()), (JOBS, JOBS, JOBS));
    assert!(leases.iter().all(|leased| leased.job.attempts == 1));
}

pub async fn a_job_is_leased_for_its_kind_and_node_only(store: &dyn Store) {
    let bound = write_with_jobs(store, vec![NewJob { node: Some(node("b")), ..upload() }]).await;
    let free = write_with_jobs(store, vec![clean_up()]).await;
    let take = |name, kinds: &'static [JobKind]| async move {
        store.lease(&node(name), kinds, LONG).await.unwrap().map(|leased| leased.job.recording)
    };
    assert_eq!(take("b", &[]).await, None);
    assert_eq!(take("a", &[JobKind::Upload]).await, None);
    assert_eq!(take("a", JobKind::ALL).await, Some(free.id));
    assert_eq!(take("b", &[JobKind::CleanUp]).await, None);
    assert_eq!(take("b", JobKind::ALL).await, Some(bound.id));
}

pub async fn a_job_is_not_leased_before_it_is_due(store: &dyn Store) {
    write_with_jobs(store, vec![NewJob { run_at: Utc::now() + TimeDelta::minutes(1), ..upload() }]).await;
    assert_eq!(lease(store).await, None);
}

pub async fn an_expired_lease_is_lost_when_another_worker_leases_the_job(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let old = store.lease(&node("a"), JobKind::ALL, EXPIRED).await.unwrap().unwrap();
    let new = store.lease(&node("b"), JobKind::ALL, LONG).await.unwrap().unwrap();
    // A run that did not end is not counted as a failed one.
    assert_eq!((new.job.id, new.job.attempts), (old.job.id, 1));
    assert_ne!(new.lease, old.lease);

    assert_lost(&store.renew(&old, LONG).await);
    assert_lost(&store.finish(&old, DONE).await);
    assert_lost(&store.finish(&old, JobOutcome::Parked { error: "x".to_owned() }).await);
    let read = store.recording(&tenant(), recording.id).await.unwrap();
    assert_eq!((read.state, read.error), (RecordingState::Processing, None));

    store.renew(&new, LONG).await.unwrap();
    store.finish(&new, DONE).await.unwrap();
    assert_lost(&store.renew(&new, LONG).await);
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap().state, RecordingState::Available);
}

pub async fn a_renewed_lease_is_not_lost(store: &dyn Store) {
    write_with_jobs(store, vec![upload()]).await;
    let leased = store.lease(&node("a"), JobKind::ALL, EXPIRED).await.unwrap().unwrap();
    let until = store.renew(&leased, LONG).await.unwrap();
    assert!(until > leased.until);
    assert_eq!(store.lease(&node("b"), JobKind::ALL, LONG).await.unwrap(), None);
}

pub async fn an_expired_lease_is_valid_until_another_worker_leases_the_job(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let leased = store.lease(&node("a"), JobKind::ALL, EXPIRED).await.unwrap().unwrap();
    store.finish(&leased, DONE).await.unwrap();
    assert_eq!(store.jobs_of(recording.id).await.unwrap()[0].state, JobState::Done);
}

pub async fn finish_can_be_repeated_but_not_with_another_lease(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let leased = lease(store).await.unwrap();
    let outcome = JobOutcome::Done { recording_state: None, next: vec![clean_up()] };
    store.finish(&leased, outcome.clone()).await.unwrap();
    store.finish(&leased, outcome.clone()).await.unwrap();
    assert_eq!(store.jobs_of(recording.id).await.unwrap().len(), 2);
    let forged = LeasedJob { lease: uuid::Uuid::new_v4(), ..leased };
    assert_lost(&store.finish(&forged, outcome).await);
}

pub async fn a_waiting_worker_wakes_when_a_job_is_inserted(store: &dyn Store) {
    let begin = Instant::now();
    let finalize = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        write_with_jobs(store, vec![upload()]).await;
    };
    let work = async {
        while lease(store).await.is_none() {
            store.wait_for_jobs(LONG).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(finalize, work) }).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

pub async fn a_waiting_worker_wakes_when_a_job_becomes_due(store: &dyn Store) {
    let run_at = Utc::now() + TimeDelta::milliseconds(500);
    write_with_jobs(store, vec![NewJob { run_at, ..upload() }]).await;
    let work = async {
        let mut looks = 0;
        while lease(store).await.is_none() {
            store.wait_for_jobs(LONG).await;
            looks += 1;
        }
        looks
    };
    let looks = tokio::time::timeout(Duration::from_secs(30), work).await.unwrap();
    assert!((1..10).contains(&looks), "{looks} looks");
}

pub async fn a_wait_without_jobs_ends_at_its_limit(store: &dyn Store) {
    // A due job of a node that does not exist: it must not end every wait at once.
    write_with_jobs(store, vec![NewJob { node: Some(node("gone")), ..upload() }]).await;
    let begin = Instant::now();
    let at_most = Duration::from_millis(50);
    for _ in 0..4 {
        assert_eq!(lease(store).await, None);
        store.wait_for_jobs(at_most).await;
    }
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(begin.elapsed() >= 2 * at_most, "{:?}", begin.elapsed());
}

fn assert_lost<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::LeaseLost(_))), "{result:?}");
}
