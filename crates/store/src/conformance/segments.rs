//! Segments of renditions that are rendered while their recordings are open.

use std::time::Duration;

use chrono::TimeDelta;
use model::{Recording, RecordingId, Segment, SegmentState};

use super::sample::{begun, finalized, node, now, tenant, tenant_named, write};
use crate::{Store, StoreError};

const MP3: &str = r#"{"kind":"mp3"}"#;
const WAV: &str = r#"{"kind":"wav"}"#;

fn segment(recording: &Recording, parameters: &str, number: u32, state: SegmentState) -> Segment {
    Segment {
        recording: recording.id,
        parameters: parameters.to_owned(),
        number,
        node: node("a"),
        state,
        start: Duration::from_secs(10) * number,
        duration: Duration::from_nanos(9_984_000_001),
        media_bytes: 5_000_000_000,
        bytes: if state == SegmentState::Done { 160_000 } else { 0 },
        error: (state == SegmentState::Failed).then(|| "killed by signal 9".to_owned()),
        created_at: now(),
    }
}

async fn write_segments(store: &dyn Store, segments: &[Segment]) {
    for segment in segments {
        store.write_segment(segment).await.unwrap();
    }
}

async fn of(store: &dyn Store, recording: &Recording) -> Vec<Segment> {
    store.segments_of(&tenant(), recording.id).await.unwrap()
}

async fn live(store: &dyn Store) -> Recording {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    recording
}

pub async fn segments_read_back_by_rendition_in_order(store: &dyn Store) {
    use SegmentState::{Done, Failed, InProgress, Queued};
    let recording = live(store).await;
    let states = [(MP3, 0, Done), (MP3, 1, InProgress), (MP3, 2, Queued), (MP3, 10, Failed), (WAV, 0, Done)];
    let segments = states.map(|(parameters, number, state)| segment(&recording, parameters, number, state));
    for segment in segments.iter().rev() {
        store.write_segment(segment).await.unwrap();
    }
    assert_eq!(of(store, &recording).await, segments);
    assert_eq!(store.segments_of(&tenant_named("other"), recording.id).await.unwrap(), []);
}

pub async fn a_segment_that_is_written_again_is_replaced(store: &dyn Store) {
    let recording = live(store).await;
    let queued = segment(&recording, MP3, 0, SegmentState::Queued);
    let later = queued.created_at + TimeDelta::seconds(9);
    let done = Segment { created_at: later, ..segment(&recording, MP3, 0, SegmentState::Done) };
    write_segments(store, &[queued.clone(), done.clone()]).await;
    assert_eq!(of(store, &recording).await, [Segment { created_at: queued.created_at, ..done }]);
}

pub async fn a_segment_without_a_recording_is_refused(store: &dyn Store) {
    let orphan = segment(&begun(), MP3, 0, SegmentState::Queued);
    assert!(matches!(store.write_segment(&orphan).await, Err(StoreError::NotFound { .. })));
}

pub async fn requeued_segments_are_queued_or_failed_with_the_error(store: &dyn Store) {
    use SegmentState::{Done, Failed, InProgress, Queued};
    let recording = live(store).await;
    let all = [(MP3, 0, Done), (MP3, 1, InProgress), (MP3, 2, Queued), (WAV, 0, Done)];
    write_segments(
        store,
        &all.map(|(parameters, number, state)| segment(&recording, parameters, number, state)),
    )
    .await;
    store.requeue_segments(recording.id, MP3, Some("killed")).await.unwrap();
    let summary = |segments: Vec<Segment>| -> Vec<_> {
        segments.into_iter().map(|segment| (segment.state, segment.bytes, segment.error)).collect()
    };
    let (queued, failed) = ((Queued, 0, None), (Failed, 0, Some("killed".to_owned())));
    let other = (Done, 160_000, None);
    assert_eq!(summary(of(store, &recording).await), [queued.clone(), failed, queued.clone(), other.clone()]);
    store.requeue_segments(recording.id, MP3, None).await.unwrap();
    assert_eq!(summary(of(store, &recording).await), [queued.clone(), queued.clone(), queued, other]);
}

pub async fn delete_segments_deletes_those_of_one_rendition(store: &dyn Store) {
    let recording = live(store).await;
    let other = segment(&recording, WAV, 0, SegmentState::Done);
    write_segments(store, &[segment(&recording, MP3, 0, SegmentState::Done), other.clone()]).await;
    store.delete_segments(recording.id, MP3).await.unwrap();
    store.delete_segments(RecordingId::new(), MP3).await.unwrap();
    assert_eq!(of(store, &recording).await, [other]);
}

pub async fn delete_old_segments_deletes_those_of_recordings_that_ended_long_ago(store: &dyn Store) {
    let (live, ended, long_ago) = (live(store).await, begun(), begun());
    write(store, &finalized(&ended)).await;
    let before = now() - TimeDelta::hours(24);
    let end = Some(before - TimeDelta::seconds(1));
    write(store, &Recording { ended_at: end, ..finalized(&long_ago) }).await;
    for recording in [&live, &ended, &long_ago] {
        let long = before - TimeDelta::hours(1);
        let old = Segment { created_at: long, ..segment(recording, MP3, 0, SegmentState::Done) };
        write_segments(store, &[old.clone(), Segment { number: 1, ..old }]).await;
    }
    assert_eq!(store.delete_old_segments(before).await.unwrap(), 2);
    assert_eq!(of(store, &long_ago).await, []);
    assert_eq!((of(store, &live).await.len(), of(store, &ended).await.len()), (2, 2));
}
