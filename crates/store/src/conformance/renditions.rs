//! Renditions, and the end of their jobs.

use std::time::Duration;

use chrono::Utc;
use model::{
    Job, JobId, JobKind, JobState, Progress, Recording, RecordingId, RecordingState, Rendition,
    RenditionState,
};

use super::sample::{
    LONG, begun, finalized, lease, mp3, node, tenant, tenant_named, upload, write_with_jobs,
};
use crate::{
    Cancellation, Change, FinalizeOutcome, FinalizedRecording, JobFilter, JobOutcome, NewRendition,
    RenderedFile, Store, StoreError,
};

const UPLOADED: JobOutcome =
    JobOutcome::Done { recording_state: Some(RecordingState::Available), next: Vec::new() };

fn file() -> RenderedFile {
    RenderedFile {
        bytes: 5_000_000_000,
        duration: Duration::from_nanos(59_987_654_321),
        width: 640,
        height: 360,
        sha256: "ab".repeat(32),
    }
}

/// A recording in the object store.
async fn available(store: &dyn Store) -> Recording {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let leased = lease(store).await.unwrap();
    store.finish(&leased, UPLOADED).await.unwrap();
    Recording { state: RecordingState::Available, ..recording }
}

async fn create(store: &dyn Store, recording: &Recording, new: &NewRendition) -> (Rendition, JobId) {
    let created = store.create_rendition(&tenant(), recording.id, new).await.unwrap();
    (created.rendition, created.job.unwrap())
}

async fn read(store: &dyn Store, rendition: &Rendition) -> Rendition {
    store.rendition(&tenant(), rendition.id).await.unwrap()
}

async fn job(store: &dyn Store, id: JobId) -> Job {
    store.job(&tenant(), id).await.unwrap()
}

pub async fn a_rendition_is_rendered_and_reads_back(store: &dyn Store) {
    let recording = available(store).await;
    let (queued, id) = create(store, &recording, &mp3(&recording)).await;
    assert_eq!((queued.state, queued.job, queued.tenant.clone()), (RenditionState::Queued, id, tenant()));
    assert_eq!((queued.recording, queued.kind.as_str()), (recording.id, "mp3"));
    assert_eq!((queued.bytes, queued.sha256.clone(), queued.ready_at), (0, None, None));

    let leased = store.lease(&node("b"), &[JobKind::Render], LONG).await.unwrap().unwrap();
    assert_eq!((leased.job.id, leased.job.rendition), (id, Some(queued.id)));
    let progress =
        Progress { fraction: 0.5, speed: 12.25, remaining: Some(Duration::from_nanos(1_500_000_001)) };
    store.set_progress(&leased, &progress).await.unwrap();
    assert_eq!(read(store, &queued).await.state, RenditionState::InProgress);
    assert_eq!(job(store, id).await.progress, Some(progress));

    store.finish(&leased, JobOutcome::Rendered(file())).await.unwrap();
    let done = read(store, &queued).await;
    assert_eq!(
        (done.state, done.bytes, done.duration),
        (RenditionState::Available, 5_000_000_000, file().duration)
    );
    assert_eq!((done.width, done.height, done.sha256.clone()), (640, 360, Some(file().sha256)));
    assert!(done.ready_at.is_some_and(|at| at >= done.created_at && at <= Utc::now()));
    assert_eq!(job(store, id).await.state, JobState::Done);
    assert_eq!(store.renditions_of(&tenant(), recording.id).await.unwrap(), [done]);
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

pub async fn two_requests_for_a_rendition_insert_one_row_and_one_job(store: &dyn Store) {
    let recording = available(store).await;
    let new = mp3(&recording);
    let (first, _) = create(store, &recording, &new).await;
    let again = store.create_rendition(&tenant(), recording.id, &new).await.unwrap();
    assert_eq!((&again.rendition, again.job), (&first, None));
    let other = NewRendition { parameters: r#"{"kind":"mp3","audio":{}}"#.to_owned(), ..new };
    let (second, _) = create(store, &recording, &other).await;
    assert_ne!(second.id, first.id);
    let renders = JobFilter { kind: Some(JobKind::Render), ..JobFilter::default() };
    assert_eq!(store.list_jobs(&tenant(), &renders, None, 10).await.unwrap().len(), 2);
}

pub async fn concurrent_requests_for_a_rendition_insert_one_job(store: &dyn Store) {
    let recording = available(store).await;
    let (tenant, new) = (tenant(), mp3(&recording));
    let create = || store.create_rendition(&tenant, recording.id, &new);
    let (a, b, c) = tokio::join!(create(), create(), create());
    let created = [a, b, c].map(Result::unwrap);
    assert_eq!(created.iter().filter(|created| created.job.is_some()).count(), 1);
    assert!(created.iter().all(|one| one.rendition.id == created[0].rendition.id));
}

pub async fn default_renditions_are_bound_to_the_recordings_node_until_it_is_stored(store: &dyn Store) {
    let recording = finalized(&begun());
    let renditions = vec![mp3(&recording)];
    let finalized = FinalizedRecording { recording: recording.clone(), jobs: vec![upload()], renditions };
    assert_eq!(store.finalize(&finalized).await.unwrap(), FinalizeOutcome::Written);
    assert_eq!(store.finalize(&finalized).await.unwrap(), FinalizeOutcome::AlreadyFinalized);
    let renders = [JobKind::Render];
    assert_eq!(store.lease(&node("b"), &renders, LONG).await.unwrap(), None);
    let leased = store.lease(&node("a"), &[JobKind::Upload], LONG).await.unwrap().unwrap();
    store.finish(&leased, UPLOADED).await.unwrap();
    let leased = store.lease(&node("b"), &renders, LONG).await.unwrap().unwrap();
    let renditions = store.renditions_of(&tenant(), recording.id).await.unwrap();
    assert_eq!((renditions.len(), leased.job.rendition), (1, Some(renditions[0].id)));
}

pub async fn a_rendition_of_a_recording_that_is_not_stored_is_bound_to_its_node(store: &dyn Store) {
    let recording = write_with_jobs(store, Vec::new()).await;
    let (_, id) = create(store, &recording, &mp3(&recording)).await;
    assert_eq!(job(store, id).await.node, Some(node("a")));
    let recording = available(store).await;
    let (_, id) = create(store, &recording, &mp3(&recording)).await;
    assert_eq!(job(store, id).await.node, None);
}

pub async fn a_recording_without_a_file_can_have_no_renditions(store: &dyn Store) {
    let live = begun();
    store.begin(&live).await.unwrap();
    let mut empty = begun();
    (empty.state, empty.ended_at) = (RecordingState::Parked, Some(empty.started_at));
    super::sample::write(store, &empty).await;
    for (recording, state) in [(&live, "RECORDING"), (&empty, "without media")] {
        let refused = store.create_rendition(&tenant(), recording.id, &mp3(&finalized(recording))).await;
        let is = |found: &str| found == state;
        assert!(matches!(&refused, Err(StoreError::WrongState { state, .. }) if is(state)), "{refused:?}");
    }
    let other = available(store).await;
    for (tenant, id) in [(tenant_named("other"), other.id), (tenant(), RecordingId::new())] {
        let refused = store.create_rendition(&tenant, id, &mp3(&other)).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    }
}

pub async fn a_parked_render_job_parks_the_rendition_but_not_the_recording(store: &dyn Store) {
    let recording = available(store).await;
    let (rendition, id) = create(store, &recording, &mp3(&recording)).await;
    let leased = lease(store).await.unwrap();
    store.set_progress(&leased, &Progress::default()).await.unwrap();
    let later = JobOutcome::RetryAt { at: Utc::now(), error: "killed".to_owned() };
    store.finish(&leased, later).await.unwrap();
    let waiting = read(store, &rendition).await;
    assert_eq!((waiting.state, waiting.error.as_deref()), (RenditionState::Queued, Some("killed")));

    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Parked { error: "no frame".to_owned() }).await.unwrap();
    let parked = read(store, &rendition).await;
    assert_eq!((parked.state, parked.error.as_deref()), (RenditionState::Parked, Some("no frame")));
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    let again = store.create_rendition(&tenant(), recording.id, &mp3(&recording)).await.unwrap();
    assert_eq!((again.rendition.state, again.job), (RenditionState::Parked, None));

    store.retry(&tenant(), id).await.unwrap();
    assert_eq!(
        (read(store, &rendition).await.state, read(store, &rendition).await.error),
        (RenditionState::Queued, None)
    );
    assert_eq!(lease(store).await.unwrap().job.id, id);
}

pub async fn the_worker_of_a_cancelled_render_job_loses_its_lease(store: &dyn Store) {
    let recording = available(store).await;
    let (rendition, id) = create(store, &recording, &mp3(&recording)).await;
    let leased = lease(store).await.unwrap();
    let mut changes = store.changes();
    assert_eq!(store.cancel(&tenant(), id).await.unwrap(), Cancellation::Cancelled);
    let reported = async { while changes.recv().await.unwrap() != Change::Cancelled(id) {} };
    tokio::time::timeout(Duration::from_secs(10), reported).await.unwrap();
    assert_lost(&store.set_progress(&leased, &Progress::default()).await);
    assert_lost(&store.renew(&leased, LONG).await);
    assert_lost(&store.finish(&leased, JobOutcome::Rendered(file())).await);
    assert_eq!(read(store, &rendition).await.state, RenditionState::Cancelled);
    assert_eq!(job(store, id).await.state, JobState::Cancelled);
    assert_eq!(store.cancel(&tenant(), id).await.unwrap(), Cancellation::AlreadyCancelled);
}

pub async fn a_delete_job_removes_the_file_of_a_cancelled_render_job(store: &dyn Store) {
    let recording = available(store).await;
    let (rendition, id) = create(store, &recording, &mp3(&recording)).await;
    store.cancel(&tenant(), id).await.unwrap();
    assert_eq!(lease(store).await, None, "the job never ran");
    let (_, id) = create(store, &recording, &mp3(&recording)).await;
    lease(store).await.unwrap();
    store.cancel(&tenant(), id).await.unwrap();
    let removal = lease(store).await.unwrap();
    assert_eq!((removal.job.kind, removal.job.rendition), (JobKind::Delete, Some(rendition.id)));
    store.finish(&removal, JobOutcome::Later { at: Utc::now() }).await.unwrap();
    store.retry(&tenant(), id).await.unwrap();
    assert_eq!(lease(store).await.unwrap().job.id, id);
    assert_eq!(lease(store).await, None);
}

pub async fn a_cancelled_render_job_can_be_retried_or_its_rendition_requested_again(store: &dyn Store) {
    let recording = available(store).await;
    let (rendition, first) = create(store, &recording, &mp3(&recording)).await;
    store.cancel(&tenant(), first).await.unwrap();
    store.retry(&tenant(), first).await.unwrap();
    assert_eq!(read(store, &rendition).await.state, RenditionState::Queued);
    store.cancel(&tenant(), first).await.unwrap();

    let (again, second) = create(store, &recording, &mp3(&recording)).await;
    assert_eq!((again.id, again.state, again.job), (rendition.id, RenditionState::Queued, second));
    assert_ne!(second, first);
    // A retry of the first job would render the same rendition twice.
    assert!(matches!(store.retry(&tenant(), first).await, Err(StoreError::NotFound { .. })));
}

pub async fn only_an_unfinished_render_job_of_the_tenant_can_be_cancelled(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let upload = store.jobs_of(recording.id).await.unwrap().remove(0).id;
    let refused = store.cancel(&tenant(), upload).await.unwrap();
    assert_eq!(refused, Cancellation::Refused(JobState::Queued));
    let (_, render) = create(store, &recording, &mp3(&recording)).await;
    for (tenant, id) in [(tenant_named("other"), render), (tenant(), JobId::new())] {
        assert!(matches!(store.cancel(&tenant, id).await, Err(StoreError::NotFound { .. })));
        assert!(matches!(store.job(&tenant, id).await, Err(StoreError::NotFound { .. })));
    }
    let leased = store.lease(&node("a"), &[JobKind::Render], LONG).await.unwrap().unwrap();
    store.finish(&leased, JobOutcome::Rendered(file())).await.unwrap();
    assert_eq!(store.cancel(&tenant(), render).await.unwrap(), Cancellation::Refused(JobState::Done));
}

pub async fn a_postponed_run_is_not_counted_as_an_attempt(store: &dyn Store) {
    write_with_jobs(store, vec![upload()]).await;
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Later { at: Utc::now() }).await.unwrap();
    let postponed = job(store, leased.job.id).await;
    assert_eq!((postponed.state, postponed.attempts, postponed.error), (JobState::Queued, 0, None));
    assert_eq!(lease(store).await.unwrap().job.attempts, 1);
}

pub async fn jobs_are_listed_newest_first_in_pages_and_by_filters(store: &dyn Store) {
    let mut expected = Vec::new();
    for _ in 0..3 {
        let recording = write_with_jobs(store, vec![upload()]).await;
        let (_, render) = create(store, &recording, &mp3(&recording)).await;
        expected.insert(0, render);
    }
    let renders = JobFilter { kind: Some(JobKind::Render), ..JobFilter::default() };
    let list = async |filter: &JobFilter, before, limit| {
        let jobs = store.list_jobs(&tenant(), filter, before, limit).await.unwrap();
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let page = list(&renders, None, 2).await;
    assert_eq!(page, expected[..2]);
    assert_eq!(list(&renders, Some(page[1]), 2).await, expected[2..]);
    store.cancel(&tenant(), expected[1]).await.unwrap();
    let cancelled = JobFilter { state: Some(JobState::Cancelled), ..JobFilter::default() };
    assert_eq!(list(&cancelled, None, 10).await, [expected[1]]);
    let recording = Some(job(store, expected[0]).await.recording);
    assert_eq!(list(&JobFilter { recording, ..JobFilter::default() }, None, 10).await.len(), 2);
    assert_eq!(store.list_jobs(&tenant_named("other"), &JobFilter::default(), None, 10).await.unwrap(), []);
}

pub async fn changes_are_reported(store: &dyn Store) {
    let mut changes = store.changes();
    let mut expect_change = async |id: RecordingId| {
        let reported = async { while changes.recv().await.unwrap() != Change::Recording(id) {} };
        tokio::time::timeout(Duration::from_secs(10), reported).await.unwrap();
    };
    let recording = begun();
    store.begin(&recording).await.unwrap();
    expect_change(recording.id).await;
    let jobs = vec![upload()];
    store
        .finalize(&FinalizedRecording { recording: finalized(&recording), jobs, renditions: Vec::new() })
        .await
        .unwrap();
    expect_change(recording.id).await;
    let leased = lease(store).await.unwrap();
    store.finish(&leased, UPLOADED).await.unwrap();
    expect_change(recording.id).await;
    create(store, &recording, &mp3(&finalized(&recording))).await;
    expect_change(recording.id).await;
    let leased = lease(store).await.unwrap();
    store.set_progress(&leased, &Progress::default()).await.unwrap();
    expect_change(recording.id).await;
}

fn assert_lost<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::LeaseLost(_))), "{result:?}");
}
