//! Deletion, retention and the audit.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use model::{JobKind, JobState, Recording, RecordingId, RecordingState, RenditionState};

use super::sample::{
    LONG, ago, begun, clean_up, finalized, lease, mp3, node, now, tenant, tenant_named, upload, write,
    write_with_jobs,
};
use crate::{
    Change, Deletion, Expired, Expiry, JobOutcome, RecordingFilter, RenderedFile, Store, StoreError,
};

pub async fn a_deletion_retains_the_row_and_removes_everything_else(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let rendition = store.create_rendition(&tenant(), recording.id, &mp3(&recording)).await.unwrap();
    let deletion = store.delete_recording(&tenant(), recording.id, "desk").await.unwrap();
    assert_eq!(deletion, Deletion::Deleted { jobs: 2 });

    let read = store.recording(&tenant(), recording.id).await.unwrap();
    assert_eq!(read, Recording { state: RecordingState::Deleted, ..recording.clone() });
    let rendition = store.rendition(&tenant(), rendition.rendition.id).await.unwrap();
    assert_eq!(rendition.state, RenditionState::Deleted);
    let jobs = store.jobs_of(recording.id).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| (job.kind, job.state, job.node.clone())).collect();
    assert_eq!(
        states,
        [
            (JobKind::Upload, JobState::Cancelled, None),
            (JobKind::Render, JobState::Cancelled, Some(node("a"))),
            (JobKind::Delete, JobState::Queued, None),
            (JobKind::Delete, JobState::Queued, Some(node("a"))),
        ]
    );
    let audit = store.audit_of(&tenant(), recording.id).await.unwrap();
    assert_eq!(audit.len(), 1);
    assert_eq!((audit[0].actor.as_str(), audit[0].action.as_str()), ("desk", "DELETE_RECORDING"));
    assert!((Utc::now() - audit[0].at).abs() < TimeDelta::seconds(30));
    assert_eq!(store.audit_of(&tenant_named("other"), recording.id).await.unwrap(), []);
}

pub async fn a_second_deletion_changes_nothing(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    store.delete_recording(&tenant(), recording.id, "desk").await.unwrap();
    let jobs = store.jobs_of(recording.id).await.unwrap();
    let again = store.delete_recording(&tenant(), recording.id, "desk").await.unwrap();
    assert_eq!(again, Deletion::AlreadyDeleted);
    assert_eq!(store.jobs_of(recording.id).await.unwrap(), jobs);
    assert_eq!(store.audit_of(&tenant(), recording.id).await.unwrap().len(), 1);
}

pub async fn one_of_several_concurrent_deletions_is_written(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let tenant = tenant();
    let delete = || store.delete_recording(&tenant, recording.id, "desk");
    let (a, b, c) = tokio::join!(delete(), delete(), delete());
    let now =
        [a, b, c].map(Result::unwrap).into_iter().filter(|one| *one != Deletion::AlreadyDeleted).count();
    assert_eq!(now, 1);
    assert_eq!(store.audit_of(&tenant, recording.id).await.unwrap().len(), 1);
}

pub async fn a_live_recording_and_one_of_another_tenant_are_not_deleted(store: &dyn Store) {
    let live = begun();
    store.begin(&live).await.unwrap();
    let refused = store.delete_recording(&tenant(), live.id, "desk").await;
    assert!(matches!(refused, Err(StoreError::WrongState { state: "RECORDING", .. })), "{refused:?}");
    let recording = write_with_jobs(store, vec![upload()]).await;
    for (tenant, id) in [(tenant_named("other"), recording.id), (tenant(), RecordingId::new())] {
        let refused = store.delete_recording(&tenant, id, "desk").await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    }
    assert_eq!(store.recording(&tenant(), live.id).await.unwrap(), live);
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

pub async fn a_deletion_cancels_running_renders_and_any_node_removes_a_cleaned_up_recording(
    store: &dyn Store,
) {
    let recording = write_with_jobs(store, vec![clean_up()]).await;
    let leased = lease(store).await.unwrap();
    store.finish(&leased, JobOutcome::Done { recording_state: None, next: Vec::new() }).await.unwrap();
    store.create_rendition(&tenant(), recording.id, &mp3(&recording)).await.unwrap();
    let leased = lease(store).await.unwrap();
    let mut changes = store.changes();
    let deletion = store.delete_recording(&tenant(), recording.id, "").await.unwrap();
    assert_eq!(deletion, Deletion::Deleted { jobs: 1 });
    let reported = async { while changes.recv().await.unwrap() != Change::Cancelled(leased.job.id) {} };
    tokio::time::timeout(Duration::from_secs(10), reported).await.unwrap();
    assert!(matches!(store.renew(&leased, LONG).await, Err(StoreError::LeaseLost(_))));
    assert_eq!(store.lease(&node("z"), JobKind::ALL, LONG).await.unwrap().unwrap().job.kind, JobKind::Delete);
}

pub async fn of_a_deleted_recordings_jobs_only_the_delete_job_can_be_retried(store: &dyn Store) {
    let recording = write_with_jobs(store, vec![upload()]).await;
    let upload = store.jobs_of(recording.id).await.unwrap().remove(0).id;
    store.delete_recording(&tenant(), recording.id, "").await.unwrap();
    assert!(matches!(store.retry(&tenant(), upload).await, Err(StoreError::NotFound { .. })));
    let removal = lease(store).await.unwrap();
    store.finish(&removal, JobOutcome::Parked { error: "403".to_owned() }).await.unwrap();
    let read = store.recording(&tenant(), recording.id).await.unwrap();
    assert_eq!(read.state, RecordingState::Deleted);
    store.retry(&tenant(), removal.job.id).await.unwrap();
}

pub async fn deleted_recordings_are_listed_only_on_request(store: &dyn Store) {
    let (retained, deleted) = (write_with_jobs(store, vec![]).await, write_with_jobs(store, vec![]).await);
    store.delete_recording(&tenant(), deleted.id, "").await.unwrap();
    let list = async |state| {
        let filter = RecordingFilter { state, ..RecordingFilter::default() };
        let page = store.list_recordings(&tenant(), &filter, None, 10).await.unwrap();
        page.recordings.into_iter().map(|recording| recording.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None).await, [retained.id]);
    assert_eq!(list(Some(RecordingState::Deleted)).await, [deleted.id]);
}

/// A recording of this tenant in the object store that ended `seconds` ago.
async fn stored(store: &dyn Store, tenant: &str, seconds: i64) -> Recording {
    let mut recording = finalized(&begun());
    recording.tenant = tenant_named(tenant);
    (recording.state, recording.ended_at) = (RecordingState::Available, Some(ago(seconds)));
    write(store, &recording).await;
    recording
}

fn expiry(tenant: Option<&str>, except: &[&str], rendition: Option<&str>, seconds: i64) -> Expiry {
    Expiry {
        tenant: tenant.map(tenant_named),
        except: except.iter().map(|name| tenant_named(name)).collect(),
        rendition: rendition.map(str::to_owned),
        before: now() - TimeDelta::seconds(seconds),
    }
}

pub async fn expired_recordings_are_found_by_tenant_oldest_first(store: &dyn Store) {
    let old = stored(store, "acme", 300).await;
    let older = stored(store, "acme", 400).await;
    let theirs = stored(store, "other", 500).await;
    let mut parked = finalized(&begun());
    (parked.state, parked.ended_at) = (RecordingState::Parked, Some(ago(900)));
    write(store, &parked).await;
    let found = async |expiry: Expiry, limit| {
        let found = store.expired(&expiry, limit).await.unwrap();
        found.into_iter().map(|one| one.recording).collect::<Vec<_>>()
    };
    assert_eq!(found(expiry(None, &[], None, 100), 10).await, [theirs.id, older.id, old.id]);
    assert_eq!(found(expiry(None, &[], None, 100), 1).await, [theirs.id]);
    assert_eq!(found(expiry(Some("acme"), &[], None, 350), 10).await, [older.id]);
    assert_eq!(found(expiry(None, &["acme"], None, 100), 10).await, [theirs.id]);
    store.delete_recording(&tenant_named("other"), theirs.id, "retention").await.unwrap();
    assert_eq!(found(expiry(None, &["acme"], None, 100), 10).await, []);
}

pub async fn of_parked_recordings_only_those_without_media_expire(store: &dyn Store) {
    let ended = Some(ago(300));
    let empty = |error: &str| Recording {
        state: RecordingState::Parked,
        ended_at: ended,
        container: None,
        object_key: None,
        bytes: 0,
        tracks: Vec::new(),
        error: Some(error.to_owned()),
        ..finalized(&begun())
    };
    let nothing = empty(Recording::NO_MEDIA);
    // Media that can't be read is retained on the disk for a person.
    let unreadable = empty("the media can't be repaired");
    let media = finalized(&begun());
    let media = Recording {
        state: RecordingState::Parked,
        ended_at: ended,
        error: Some(Recording::NO_MEDIA.to_owned()),
        ..media
    };
    for parked in [&nothing, &unreadable, &media] {
        write(store, parked).await;
    }
    let live = begun();
    store.begin(&live).await.unwrap();
    let found = store.expired(&expiry(None, &[], None, 100), 10).await.unwrap();
    assert_eq!(found.into_iter().map(|one| one.recording).collect::<Vec<_>>(), [nothing.id]);
    assert_eq!(store.expired(&expiry(None, &[], None, 400), 10).await.unwrap(), []);
    store.delete_recording(&tenant(), nothing.id, "retention").await.unwrap();
    assert_eq!(store.expired(&expiry(None, &[], None, 100), 10).await.unwrap(), []);
}

pub async fn expired_renditions_are_found_and_deleted_without_their_recording(store: &dyn Store) {
    let recording = stored(store, "acme", 300).await;
    let rendition =
        store.create_rendition(&tenant(), recording.id, &mp3(&recording)).await.unwrap().rendition;
    let leased = lease(store).await.unwrap();
    let file =
        RenderedFile { bytes: 1, duration: Duration::ZERO, width: 0, height: 0, sha256: "ab".repeat(32) };
    store.finish(&leased, JobOutcome::Rendered(file)).await.unwrap();
    assert_eq!(store.expired(&expiry(None, &[], Some("mp4"), -60), 10).await.unwrap(), []);
    assert_eq!(store.expired(&expiry(None, &[], Some("mp3"), 60), 10).await.unwrap(), []);
    let found = store.expired(&expiry(Some("acme"), &[], Some("mp3"), -60), 10).await.unwrap();
    let expected = Expired { tenant: tenant(), recording: recording.id, rendition: Some(rendition.id) };
    assert_eq!(found, [expected]);

    let other = tenant_named("other");
    assert!(matches!(
        store.delete_rendition(&other, rendition.id, "").await,
        Err(StoreError::NotFound { .. })
    ));
    let deletion = store.delete_rendition(&tenant(), rendition.id, "retention").await.unwrap();
    assert_eq!(deletion, Deletion::Deleted { jobs: 1 });
    assert_eq!(store.delete_rendition(&tenant(), rendition.id, "x").await.unwrap(), Deletion::AlreadyDeleted);
    let read = store.rendition(&tenant(), rendition.id).await.unwrap();
    assert_eq!(read.state, RenditionState::Deleted);
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    let audit = store.audit_of(&tenant(), recording.id).await.unwrap();
    assert_eq!(
        (audit.len(), audit[0].rendition, audit[0].actor.as_str()),
        (1, Some(rendition.id), "retention")
    );

    let removal = lease(store).await.unwrap();
    assert_eq!((removal.job.kind, removal.job.rendition), (JobKind::Delete, Some(rendition.id)));
    // A DELETE job that waits is cancelled when the rendition is requested again.
    store.finish(&removal, JobOutcome::Later { at: Utc::now() }).await.unwrap();
    let again = store.create_rendition(&tenant(), recording.id, &mp3(&recording)).await.unwrap();
    assert_eq!((again.rendition.id, again.rendition.state), (rendition.id, RenditionState::Queued));
    assert_eq!((again.rendition.bytes, again.rendition.sha256), (0, None));
    assert_eq!(lease(store).await.unwrap().job.kind, JobKind::Render);
    assert_eq!(lease(store).await, None);
}

pub async fn a_run_of_a_periodic_task_is_claimed_once(store: &dyn Store) {
    let claim = || store.claim_run("retention", LONG);
    let (a, b, c) = tokio::join!(claim(), claim(), claim());
    assert_eq!([a, b, c].map(Result::unwrap).into_iter().filter(|claimed| *claimed).count(), 1);
    assert!(!claim().await.unwrap());
    assert!(store.claim_run("another task", Duration::ZERO).await.unwrap());
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(store.claim_run("another task", Duration::ZERO).await.unwrap());
}
