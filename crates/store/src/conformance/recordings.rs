//! Recordings: single and in lists.

use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta, Utc};
use model::{Recording, RecordingId, RecordingState, Source};

use super::sample::{ago, begun, finalized, now, tenant, tenant_named, write};
use crate::{RecordingFilter, Store, StoreError};

pub async fn a_recording_of_another_tenant_is_not_found(store: &dyn Store) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    for (tenant, id) in [(tenant_named("other"), recording.id), (tenant(), RecordingId::new())] {
        let found = store.recording(&tenant, id).await;
        assert!(matches!(found, Err(StoreError::NotFound { .. })), "{found:?}");
    }
}

pub async fn names_are_stored_unchanged_except_u_0000(store: &dyn Store) {
    for (given, stored) in [
        ("Ünïcødé – café – e\u{301}", "Ünïcødé – café – e\u{301}"),
        ("👩‍👩‍👧‍👦 \u{202E}right to left", "👩‍👩‍👧‍👦 \u{202E}right to left"),
        ("'; DROP TABLE recordings; --%_\\", "'; DROP TABLE recordings; --%_\\"),
        ("a\0b", "a\u{FFFD}b"),
        ("", ""),
    ] {
        let mut recording = finalized(&begun());
        recording.name = given.to_owned();
        write(store, &recording).await;
        assert_eq!(store.recording(&tenant(), recording.id).await.unwrap().name, stored);
        let filter = RecordingFilter { name: Some(given.to_owned()), ..RecordingFilter::default() };
        assert_eq!(ids(&list(store, &filter).await), [recording.id], "{given:?}");
    }
}

pub async fn a_name_of_any_length_is_stored_and_found(store: &dyn Store) {
    // Text that does not compress, so that it does not fit in an index entry of any database.
    let long: String = (0..3_000).map(|_| RecordingId::new().to_string()).collect();
    let mut recording = finalized(&begun());
    recording.name.clone_from(&long);
    recording.correlation_id.clone_from(&long);
    write(store, &recording).await;
    let mut alike = finalized(&begun());
    alike.name = format!("{long}!");
    alike.correlation_id = format!("{long}!");
    write(store, &alike).await;
    for filter in [
        RecordingFilter { name: Some(long.clone()), ..RecordingFilter::default() },
        RecordingFilter { correlation_id: Some(long.clone()), ..RecordingFilter::default() },
    ] {
        assert_eq!(list(store, &filter).await, [recording.clone()]);
    }
}

pub async fn sizes_beyond_32_bits_read_back_and_impossible_ones_are_clamped(store: &dyn Store) {
    let mut recording = finalized(&begun());
    recording.bytes = 0x1234_5678_9ABC;
    recording.duration = Duration::from_secs(40 * 24 * 3600);
    recording.tracks[0].bytes = u64::MAX >> 1;
    recording.tracks[0].packets_lost = u64::from(u32::MAX) + 1;
    recording.tracks[0].width = u32::MAX;
    write(store, &recording).await;
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);

    let mut absurd = finalized(&begun());
    absurd.tracks[1].packets_lost = u64::MAX;
    absurd.tracks[1].duration = Duration::MAX;
    write(store, &absurd).await;
    let read = store.recording(&tenant(), absurd.id).await.unwrap();
    assert_eq!(read.tracks[1].packets_lost, u64::MAX >> 1);
    assert_eq!(read.tracks[1].duration, Duration::from_nanos(u64::MAX >> 1));
}

pub async fn times_are_stored_to_the_microsecond(store: &dyn Store) {
    let mut recording = finalized(&begun());
    for nanoseconds in [0, 1_000, 999_999_000, 123_456_789] {
        recording.id = RecordingId::new();
        recording.started_at = ago(5).trunc_subsecs(0) + TimeDelta::nanoseconds(nanoseconds);
        write(store, &recording).await;
        let read = store.recording(&tenant(), recording.id).await.unwrap();
        assert_eq!(read.started_at.trunc_subsecs(6), recording.started_at.trunc_subsecs(6));
    }
}

pub async fn a_list_has_one_tenants_recordings_newest_first(store: &dyn Store) {
    let old = begun_at(store, 300).await;
    let new = begun_at(store, 100).await;
    let middle = begun_at(store, 200).await;
    let mut theirs = begun();
    theirs.tenant = tenant_named("other");
    store.begin(&theirs).await.unwrap();
    assert_eq!(list(store, &RecordingFilter::default()).await, [new, middle, old]);
    let page =
        store.list_recordings(&tenant_named("nobody"), &RecordingFilter::default(), None, 10).await.unwrap();
    assert_eq!((page.recordings, page.next), (Vec::new(), None));
}

pub async fn a_list_is_filtered_by_all_conditions_together(store: &dyn Store) {
    let mut matching = finalized(&begun());
    matching.name = "demo".to_owned();
    matching.correlation_id = "case-7".to_owned();
    let mut other_name = matching.clone();
    other_name.name = "Demo".to_owned();
    let mut other_id = matching.clone();
    other_id.correlation_id = String::new();
    let mut other_state = matching.clone();
    other_state.state = RecordingState::Available;
    let mut other_source = matching.clone();
    other_source.source = Source::Audio;
    for recording in [&mut matching, &mut other_name, &mut other_id, &mut other_state, &mut other_source] {
        recording.id = RecordingId::new();
        write(store, recording).await;
    }
    let all = RecordingFilter {
        name: Some("demo".to_owned()),
        correlation_id: Some("case-7".to_owned()),
        state: Some(RecordingState::Processing),
        source: Some(Source::Webrtc),
        started_from: Some(ago(3600)),
        started_until: Some(now()),
    };
    assert_eq!(list(store, &all).await, [matching.clone()]);
    let none = RecordingFilter::default();
    for (filter, missing) in [
        (RecordingFilter { name: all.name.clone(), ..none.clone() }, other_name.id),
        (RecordingFilter { correlation_id: all.correlation_id.clone(), ..none.clone() }, other_id.id),
        (RecordingFilter { state: all.state, ..none.clone() }, other_state.id),
        (RecordingFilter { source: all.source, ..none.clone() }, other_source.id),
    ] {
        let found = ids(&list(store, &filter).await);
        assert!(found.len() == 4 && !found.contains(&missing), "{filter:?}");
    }
    let without = RecordingFilter { correlation_id: Some(String::new()), ..none };
    assert_eq!(ids(&list(store, &without).await), [other_id.id]);
}

pub async fn a_list_includes_its_first_time_and_excludes_its_last(store: &dyn Store) {
    let (old, new) = (begun_at(store, 200).await, begun_at(store, 100).await);
    let from = |at| RecordingFilter { started_from: Some(at), ..RecordingFilter::default() };
    let until = |at| RecordingFilter { started_until: Some(at), ..RecordingFilter::default() };
    let microsecond = TimeDelta::microseconds(1);
    assert_eq!(ids(&list(store, &from(new.started_at)).await), [new.id]);
    assert_eq!(list(store, &from(new.started_at + microsecond)).await, []);
    assert_eq!(list(store, &until(old.started_at)).await, []);
    assert_eq!(list(store, &until(new.started_at)).await, [old]);
}

pub async fn pages_do_not_shift_while_recordings_are_added(store: &dyn Store) {
    let mut expected = Vec::new();
    for seconds in [500, 400, 300, 200, 100] {
        expected.insert(0, begun_at(store, seconds).await.id);
    }
    let filter = RecordingFilter::default();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_recordings(&tenant(), &filter, after, 2).await.unwrap();
        assert!(page.recordings.len() <= 2);
        listed.extend(ids(&page.recordings));
        // Newer than all listed recordings, so no later page may shift.
        begun_at(store, 0).await;
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(listed, expected);
}

pub async fn pages_separate_recordings_that_began_at_the_same_time(store: &dyn Store) {
    let started_at = ago(100);
    let mut expected = Vec::new();
    for _ in 0..6 {
        let recording = Recording { started_at, ..begun() };
        store.begin(&recording).await.unwrap();
        expected.push(recording.id);
    }
    let (mut listed, mut after) = (Vec::new(), None);
    for pages_left in [2, 1, 0] {
        let page = store.list_recordings(&tenant(), &RecordingFilter::default(), after, 2).await.unwrap();
        assert_eq!(page.next.is_some(), pages_left > 0);
        listed.extend(ids(&page.recordings));
        after = page.next;
    }
    expected.sort();
    expected.reverse();
    assert_eq!(listed, expected);
}

pub async fn a_page_has_the_tracks_of_each_recording(store: &dyn Store) {
    let (mut silent, mut both) = (finalized(&begun()), finalized(&begun()));
    silent.started_at = ago(100);
    silent.tracks.truncate(1);
    both.started_at = ago(200);
    let live = begun_at(store, 300).await;
    write(store, &silent).await;
    write(store, &both).await;
    assert_eq!(list(store, &RecordingFilter::default()).await, [silent, both, live]);
}

pub async fn a_checksum_is_stored_once(store: &dyn Store) {
    let mut recording = finalized(&begun());
    recording.sha256 = None;
    write(store, &recording).await;
    let (first, second) = ("aa".repeat(32), "bb".repeat(32));
    store.set_sha256(recording.id, &first).await.unwrap();
    store.set_sha256(recording.id, &second).await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap().sha256, Some(first));
}

async fn begun_at(store: &dyn Store, seconds_ago: i64) -> Recording {
    let recording = Recording { started_at: ago(seconds_ago), ..begun() };
    assert!(recording.started_at <= Utc::now());
    store.begin(&recording).await.unwrap();
    recording
}

async fn list(store: &dyn Store, filter: &RecordingFilter) -> Vec<Recording> {
    store.list_recordings(&tenant(), filter, None, 100).await.unwrap().recordings
}

fn ids(recordings: &[Recording]) -> Vec<RecordingId> {
    recordings.iter().map(|recording| recording.id).collect()
}
