//! Sessions: begin, pause, finalize.

use model::{EndReason, JobKind, JobState, RecordingId, RecordingState, SessionId};

use super::sample::{
    audio, begun, clean_up, finalized, node, tenant, tenant_named, upload, video, write, write_with_jobs,
};
use crate::{FinalizeOutcome, FinalizedRecording, NewJob, Store, StoreError};

pub async fn a_session_begins_in_state_recording_and_is_live_on_its_node(store: &dyn Store) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    assert_eq!(store.session(&tenant(), recording.id.into()).await.unwrap(), (node("a"), None));
}

pub async fn begin_can_be_repeated_but_an_id_is_used_once(store: &dyn Store) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    store.begin(&recording).await.unwrap();
    let mut other = recording.clone();
    other.tenant = tenant_named("other");
    assert!(matches!(store.begin(&other).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    write(store, &finalized(&recording)).await;
    assert!(matches!(store.begin(&recording).await, Err(StoreError::Conflict { .. })));
}

pub async fn a_finalized_recording_reads_back_complete(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    assert_eq!(recording.tracks, [video(1), audio(2)]);
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

pub async fn finalize_closes_the_session_and_inserts_the_jobs(store: &dyn Store) {
    let bound = NewJob { node: Some(node("a")), ..clean_up() };
    let recording = write_with_jobs(store, vec![upload(), bound]).await;
    let session = store.session(&tenant(), recording.id.into()).await.unwrap();
    assert_eq!(session, (node("a"), Some(EndReason::Requested)));
    let jobs = store.jobs_of(recording.id).await.unwrap();
    let kinds: Vec<_> = jobs.iter().map(|job| (job.kind, job.node.clone())).collect();
    assert_eq!(kinds, [(JobKind::Upload, None), (JobKind::CleanUp, Some(node("a")))]);
    for job in jobs {
        assert_eq!((job.recording, job.tenant, job.state), (recording.id, tenant(), JobState::Queued));
        assert_eq!((job.attempts, job.error), (0, None));
    }
}

pub async fn a_second_finalize_changes_nothing(store: &dyn Store) {
    let first = write_with_jobs(store, vec![upload()]).await;
    let mut second = first.clone();
    second.name = "another name".to_owned();
    second.end_reason = Some(EndReason::TimeLimit);
    second.tracks.clear();
    let outcome = store
        .finalize(&FinalizedRecording { recording: second, jobs: vec![upload()], renditions: Vec::new() })
        .await
        .unwrap();
    assert_eq!(outcome, FinalizeOutcome::AlreadyFinalized);
    assert_eq!(store.recording(&tenant(), first.id).await.unwrap(), first);
    assert_eq!(store.jobs_of(first.id).await.unwrap().len(), 1);
}

pub async fn one_of_several_concurrent_finalizes_is_written(store: &dyn Store) {
    let finalized =
        FinalizedRecording { recording: finalized(&begun()), jobs: vec![upload()], renditions: Vec::new() };
    let (a, b, c) =
        tokio::join!(store.finalize(&finalized), store.finalize(&finalized), store.finalize(&finalized));
    let written = [a, b, c]
        .map(Result::unwrap)
        .into_iter()
        .filter(|outcome| *outcome == FinalizeOutcome::Written)
        .count();
    assert_eq!(written, 1);
    assert_eq!(store.jobs_of(finalized.recording.id).await.unwrap().len(), 1);
}

pub async fn a_recording_without_a_begin_can_be_finalized(store: &dyn Store) {
    let recording = finalized(&begun());
    let finalized =
        FinalizedRecording { recording: recording.clone(), jobs: vec![upload()], renditions: Vec::new() };
    assert_eq!(store.finalize(&finalized).await.unwrap(), FinalizeOutcome::Written);
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    assert_eq!(store.jobs_of(recording.id).await.unwrap().len(), 1);
    let session = store.session(&tenant(), recording.id.into()).await.unwrap();
    assert_eq!(session, (node("a"), Some(EndReason::Requested)));
}

pub async fn a_session_of_another_tenant_cannot_be_finalized(store: &dyn Store) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    let mut theirs = finalized(&recording);
    theirs.tenant = tenant_named("other");
    let outcome = store
        .finalize(&FinalizedRecording { recording: theirs, jobs: vec![upload()], renditions: Vec::new() })
        .await;
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

pub async fn a_failed_finalize_changes_nothing(store: &dyn Store) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    let mut broken = finalized(&recording);
    broken.tracks = vec![video(1), audio(1)];
    let outcome = store
        .finalize(&FinalizedRecording { recording: broken, jobs: vec![upload()], renditions: Vec::new() })
        .await;
    assert!(matches!(outcome, Err(StoreError::Internal(_))), "{outcome:?}");
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    assert_eq!(store.jobs_of(recording.id).await.unwrap(), []);
    assert_eq!(store.session(&tenant(), recording.id.into()).await.unwrap(), (node("a"), None));
    write(store, &finalized(&recording)).await;
}

pub async fn a_recording_without_media_is_finalized_with_its_error(store: &dyn Store) {
    let mut recording = begun();
    recording.state = RecordingState::Parked;
    recording.ended_at = Some(recording.started_at);
    recording.end_reason = Some(EndReason::ConnectTimeout);
    recording.error = Some("no media came".to_owned());
    write(store, &recording).await;
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

pub async fn finalize_without_an_end_reason_closes_the_session_as_a_crash(store: &dyn Store) {
    let mut recording = finalized(&begun());
    recording.end_reason = None;
    write(store, &recording).await;
    let session = store.session(&tenant(), recording.id.into()).await.unwrap();
    assert_eq!(session.1, Some(EndReason::Crash));
}

pub async fn a_live_session_is_paused_and_resumed_but_a_finalized_one_is_not(store: &dyn Store) {
    let recording = begun();
    let id = SessionId::from(recording.id);
    store.begin(&recording).await.unwrap();
    let state = async || store.recording(&tenant(), recording.id).await.unwrap().state;
    for paused in [true, true, false, false, true] {
        store.set_paused(&tenant(), id, paused).await.unwrap();
        assert_eq!(state().await, RecordingState::of_live(paused));
    }
    let foreign = store.set_paused(&tenant_named("other"), id, false).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })), "{foreign:?}");
    write(store, &finalized(&recording)).await;
    for paused in [true, false] {
        store.set_paused(&tenant(), id, paused).await.unwrap();
        assert_eq!(state().await, RecordingState::Processing);
    }
}

pub async fn a_session_of_another_tenant_is_not_found(store: &dyn Store) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    for (tenant, id) in [(tenant_named("other"), recording.id), (tenant(), RecordingId::new())] {
        let found = store.session(&tenant, id.into()).await;
        assert!(matches!(found, Err(StoreError::NotFound { .. })), "{found:?}");
    }
}
