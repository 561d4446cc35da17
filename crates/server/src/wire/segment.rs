//! Segments of renditions that are made while their recording is open.

use std::time::Duration;

use model::{Segment, SegmentState};
use proto::recorder::v1 as pb;

use super::{count, count32, duration, spec::spec, timestamp};

pub(crate) fn segment(segment: &Segment) -> pb::Segment {
    pb::Segment {
        number: count32(segment.number),
        spec: spec(&segment.parameters),
        state: match segment.state {
            SegmentState::Queued => pb::SegmentState::Queued,
            SegmentState::InProgress => pb::SegmentState::InProgress,
            SegmentState::Done => pb::SegmentState::Done,
            SegmentState::Failed => pb::SegmentState::Failed,
        }
        .into(),
        start: Some(duration(segment.start)),
        duration: Some(duration(segment.duration)),
        recorded_bytes: count(segment.media_bytes),
        bytes: count(segment.bytes),
        error: segment.error.clone().unwrap_or_default(),
        node: segment.node.to_string(),
        created_at: Some(timestamp(segment.created_at)),
    }
}

/// Summarizes the segments of one rendition.
pub(crate) fn segment_progress(segments: &[Segment]) -> pb::SegmentProgress {
    let in_state = |state| segments.iter().filter(move |segment| segment.state == state);
    let number = |state| count32(u32::try_from(in_state(state).count()).unwrap_or(u32::MAX));
    let buffered = || segments.iter().filter(|segment| segment.state != SegmentState::Done);
    let buffered_time: Duration = buffered().map(|segment| segment.duration).sum();
    pb::SegmentProgress {
        spec: segments.first().and_then(|first| spec(&first.parameters)),
        queued: number(SegmentState::Queued),
        in_progress: number(SegmentState::InProgress),
        done: number(SegmentState::Done),
        failed: number(SegmentState::Failed),
        buffered: Some(duration(buffered_time)),
        buffered_bytes: count(buffered().map(|segment| segment.media_bytes).sum()),
        done_bytes: count(in_state(SegmentState::Done).map(|segment| segment.bytes).sum()),
        error: segments.iter().rev().find_map(|segment| segment.error.clone()).unwrap_or_default(),
    }
}

/// The state of a filter, as [`super::recording_state`].
pub(crate) fn segment_state(number: i32) -> Option<Option<SegmentState>> {
    Some(match pb::SegmentState::try_from(number).ok()? {
        pb::SegmentState::Unspecified => None,
        pb::SegmentState::Queued => Some(SegmentState::Queued),
        pb::SegmentState::InProgress => Some(SegmentState::InProgress),
        pb::SegmentState::Done => Some(SegmentState::Done),
        pb::SegmentState::Failed => Some(SegmentState::Failed),
    })
}
