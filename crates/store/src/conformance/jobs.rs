//! The end of runs, and their effect on the recording.

use chrono::{TimeDelta, Utc};
use model::{JobId, JobKind, JobState, Recording, RecordingState};

use super::sample::{LONG, ago, clean_up, lease, node, tenant, tenant_named, upload, write_with_jobs};
use crate::{JobOutcome, NewJob, Store, StoreError};

pub async fn a_done_job_commits_the_recordings_state_and_the_next_jobs(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let leased = lease(store).await.unwrap();
    assert_eq!((leased.job.recording, leased.job.attempts), (recording.id, 1));
    let next = NewJob { node: Some(node("a")), ..clean_up() };
    let outcome =
        JobOutcome::Done { recording_state: Some(RecordingState::Available), next: vec![next.clone()] };
    store.finish(&leased, outcome).await.unwrap();

    assert_eq!(state(store, &recording).await, RecordingState::Available);
    let jobs = store.jobs_of(recording.id).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| (job.kind, job.state)).collect();
    assert_eq!(states, [(JobKind::Upload, JobState::Done), (JobKind::CleanUp, JobState::Queued)]);
    assert_eq!(jobs[1].node, next.node);
    assert_eq!(lease(store).await.unwrap().job.id, jobs[1].id);
    assert_eq!(lease(store).await, None);
}

pub async fn a_failed_job_runs_again_when_it_is_due(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let at = Utc::now() + TimeDelta::hours(1);
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::RetryAt { at, error: "no route".to_owned() }).await.unwrap();
    let job = store.jobs_of(recording.id).await.unwrap().remove(0);
    assert_eq!((job.state, job.attempts, job.error.as_deref()), (JobState::Failed, 1, Some("no route")));
    // The due time is by the clock of the database.
    assert!((job.run_at - at).abs() < TimeDelta::seconds(5), "{:?}", job.run_at);
    assert_eq!(lease(store).await, None);
    assert_eq!(state(store, &recording).await, RecordingState::Processing);

    let other = write_with_jobs(store, vec![upload()]).await;
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::RetryAt { at: ago(1), error: "\0".to_owned() }).await.unwrap();
    let leased = lease(store).await.unwrap();
    assert_eq!((leased.job.recording, leased.job.attempts), (other.id, 2));
    assert_eq!(leased.job.state, JobState::InProgress);
}

pub async fn a_job_has_the_times_of_its_last_run(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let times = async || {
        let job = store.jobs_of(recording.id).await.unwrap().remove(0);
        (job.started_at, job.ended_at)
    };
    assert_eq!(times().await, (None, None));
    let leased = lease(store).await.unwrap();
    let (first, none) = times().await;
    assert_eq!((leased.job.started_at, none), (first, None));
    assert!((Utc::now() - first.unwrap()).abs() < TimeDelta::seconds(30), "{first:?}");

    // A run that is not counted leaves no times.
    store.finish(&leased, JobOutcome::Later { at: ago(1) }).await.unwrap();
    assert_eq!(times().await, (None, None));
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::RetryAt { at: ago(1), error: "x".to_owned() }).await.unwrap();
    let (began, ended) = times().await;
    assert!(began > first && ended >= began, "{began:?} {ended:?}");

    let leased = lease(store).await.unwrap();
    let (again, none) = times().await;
    assert!(again >= ended && none.is_none(), "{again:?} {none:?}");
    store.finish(&leased, JobOutcome::Parked { error: "x".to_owned() }).await.unwrap();
    assert!(times().await.1 >= again);
    store.retry(&tenant(), leased.job.id).await.unwrap();
    assert_eq!(times().await, (None, None));
    store.delete_recording(&tenant(), recording.id, "somebody").await.unwrap();
    let (none, ended) = times().await;
    assert!(none.is_none() && ended >= again, "{none:?} {ended:?}");
}

pub async fn a_parked_job_parks_its_recording_with_the_error(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    park(store, "the bucket is gone").await;
    let read = store.recording(&tenant(), recording.id).await.unwrap();
    assert_eq!(read.state, RecordingState::Parked);
    assert_eq!(read.error.as_deref(), Some("the bucket is gone"));
    assert_eq!(read.tracks, recording.tracks);
    let job = store.jobs_of(recording.id).await.unwrap().remove(0);
    assert_eq!((job.state, job.error.as_deref()), (JobState::Parked, Some("the bucket is gone")));
    assert_eq!(lease(store).await, None);
}

pub async fn a_retry_of_a_parked_job_restores_the_recordings_state(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    park(store, "the bucket is gone").await;
    let job = store.jobs_of(recording.id).await.unwrap().remove(0);
    store.retry(&tenant(), job.id).await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    let leased = lease(store).await.unwrap();
    assert_eq!((leased.job.id, leased.job.attempts), (job.id, 1));
    let outcome = JobOutcome::Done { recording_state: Some(RecordingState::Available), next: Vec::new() };
    store.finish(&leased, outcome).await.unwrap();
    let available = Recording { state: RecordingState::Available, ..recording };
    assert_eq!(store.recording(&tenant(), available.id).await.unwrap(), available);
}

pub async fn a_recording_with_two_parked_jobs_stays_parked_until_both_are_retried(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload(), clean_up()]).await;
    park(store, "first").await;
    park(store, "second").await;
    let jobs = store.jobs_of(recording.id).await.unwrap();
    store.retry(&tenant(), jobs[0].id).await.unwrap();
    assert_eq!(state(store, &recording).await, RecordingState::Parked);
    store.retry(&tenant(), jobs[1].id).await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

pub async fn concurrent_retries_of_two_parked_jobs_restore_the_recordings_state(store: &dyn Store) {
    for _ in 0..10 {
        let recording = write_with_jobs(store, vec![upload(), clean_up()]).await;
        park(store, "first").await;
        park(store, "second").await;
        let jobs = store.jobs_of(recording.id).await.unwrap();
        let tenant = tenant();
        let (a, b) = tokio::join!(store.retry(&tenant, jobs[0].id), store.retry(&tenant, jobs[1].id));
        a.and(b).unwrap();
        assert_eq!(state(store, &recording).await, RecordingState::Processing);
        for _ in 0..2 {
            let leased = lease(store).await.unwrap();
            store
                .finish(&leased, JobOutcome::Done { recording_state: None, next: Vec::new() })
                .await
                .unwrap();
        }
    }
}

pub async fn only_a_failed_or_parked_job_of_the_tenant_can_be_retried(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let job = store.jobs_of(recording.id).await.unwrap().remove(0).id;
    assert_not_found(&store.retry(&tenant(), job).await);
    let leased = lease(store).await.unwrap();
    assert_not_found(&store.retry(&tenant(), job).await);
    store.finish(&leased, JobOutcome::Parked { error: "x".to_owned() }).await.unwrap();
    assert_not_found(&store.retry(&tenant_named("other"), job).await);
    assert_not_found(&store.retry(&tenant(), JobId::new()).await);
    store.retry(&tenant(), job).await.unwrap();
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Done { recording_state: None, next: Vec::new() }).await.unwrap();
    assert_not_found(&store.retry(&tenant(), job).await);
}

pub async fn a_retried_job_is_due_at_once(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let at = Utc::now() + TimeDelta::hours(1);
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::RetryAt { at, error: "no route".to_owned() }).await.unwrap();
    store.retry(&tenant(), leased.job.id).await.unwrap();
    assert_eq!(lease(store).await.unwrap().job.recording, recording.id);
}

pub async fn a_job_does_not_restore_a_deleted_recording(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload(), clean_up()]).await;
    let (first, second) = (lease(store).await.unwrap(), lease(store).await.unwrap());
    let deleted = JobOutcome::Done { recording_state: Some(RecordingState::Deleted), next: Vec::new() };
    store.finish(&first, deleted).await.unwrap();
    let available = JobOutcome::Done { recording_state: Some(RecordingState::Available), next: Vec::new() };
    store.finish(&second, available).await.unwrap();
    assert_eq!(state(store, &recording).await, RecordingState::Deleted);
}

pub async fn jobs_that_are_not_done_are_counted_by_kind_and_state(store: &dyn Store) {
    assert_eq!(store.count_jobs().await.unwrap(), []);
    for _ in 0..4 {
        write_with_jobs(store, vec![upload()]).await;
    }
    write_with_jobs(store, vec![clean_up()]).await;
    let uploads = [JobKind::Upload];
    let done = store.lease(&node("a"), &uploads, LONG).await.unwrap().unwrap();
    store.finish(&done, JobOutcome::Done { recording_state: None, next: Vec::new() }).await.unwrap();
    store.lease(&node("a"), &uploads, LONG).await.unwrap().unwrap();
    let mut counts = store.count_jobs().await.unwrap();
    counts.sort_by_key(|(kind, state, _)| (kind.as_str(), state.as_str()));
    assert_eq!(
        counts,
        [
            (JobKind::CleanUp, JobState::Queued, 1),
            (JobKind::Upload, JobState::InProgress, 1),
            (JobKind::Upload, JobState::Queued, 2),
        ]
    );
}

pub async fn the_jobs_of_a_recording_are_listed_oldest_first(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    for _ in 0..3 {
        let leased = lease(store).await.unwrap();
        let next = vec![NewJob { run_at: ago(1000), ..upload() }];
        store.finish(&leased, JobOutcome::Done { recording_state: None, next }).await.unwrap();
    }
    let jobs = store.jobs_of(recording.id).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Done, JobState::Done, JobState::Done, JobState::Queued]);
}

async fn state(store: &dyn Store, recording: &Recording) -> RecordingState {
    store.recording(&tenant(), recording.id).await.unwrap().state
}

async fn park(store: &dyn Store, error: &str) {
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Parked { error: error.to_owned() }).await.unwrap();
}

fn assert_not_found(result: &Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "{result:?}");
}
