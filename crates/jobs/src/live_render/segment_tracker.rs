//! The states of the segments of one rendition, and their rows in the database.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::Utc;
use model::{NodeId, RecordingId, Segment, SegmentState};
use store::{Store, StoreError};

use crate::{FollowedSegment, RenderError, metrics};

/// The segments of one rendition, by number. Changes are collected until [`write`](Self::write) commits them; an outage of
/// the database only delays that.
pub(crate) struct SegmentTracker {
    store: Arc<dyn Store>,
    recording: RecordingId,
    parameters: Arc<str>,
    node: NodeId,
    interval: Duration,
    segments: Vec<Segment>,
    /// Numbers of the segments whose rows are out of date.
    unwritten: BTreeSet<u32>,
    /// All rows have to be reset first, with this error.
    reset: Option<Option<String>>,
    /// Sum of the media bytes of all segments.
    counted: u64,
}

impl SegmentTracker {
    pub fn new(
        store: Arc<dyn Store>,
        recording: RecordingId,
        parameters: Arc<str>,
        node: NodeId,
        interval: Duration,
    ) -> Self {
        let (segments, unwritten) = (Vec::new(), BTreeSet::new());
        Self { store, recording, parameters, node, interval, segments, unwritten, reset: None, counted: 0 }
    }

    /// The recording has reached `time`, and its file `bytes`, final or not: adds segments, and marks the next one IN_PROGRESS.
    pub fn recorded(&mut self, time: Duration, bytes: u64) {
        self.queue(time, bytes);
        self.mark_next();
    }

    /// The same while no follower runs: adds segments as QUEUED.
    pub fn queue(&mut self, time: Duration, bytes: u64) {
        let whole = time.as_nanos() / self.interval.as_nanos().max(1);
        let whole = u32::try_from(whole).unwrap_or(u32::MAX);
        let new = u64::from(whole).saturating_sub(self.segments.len() as u64);
        for remaining in (1..=new).rev() {
            let media_bytes = bytes.saturating_sub(self.counted) / remaining;
            self.counted += media_bytes;
            self.push(media_bytes);
        }
    }

    /// The follower has made a segment: the next one in order, which may be beyond what was [`recorded`](Self::recorded).
    ///
    /// # Errors
    /// `Transient` if the number leaves a gap. The number comes from a child process, so it must not decide how many rows
    /// there are.
    pub fn done(&mut self, made: &FollowedSegment) -> Result<(), RenderError> {
        if made.number as usize == self.segments.len() {
            self.push(0);
        }
        let Some(segment) = self.segments.get_mut(made.number as usize) else {
            return Err(RenderError::Transient(format!(
                "the follower made segment {} too early",
                made.number
            )));
        };
        metrics::segment_made();
        (segment.start, segment.duration) = (made.start, made.duration);
        (segment.state, segment.bytes, segment.error) = (SegmentState::Done, made.bytes, None);
        self.unwritten.insert(made.number);
        self.mark_next();
        Ok(())
    }

    /// The follower starts again: all segments are QUEUED. With an error, the one in progress is FAILED.
    pub fn start_again(&mut self, error: Option<&str>) {
        for segment in &mut self.segments {
            let failed = segment.state == SegmentState::InProgress && error.is_some();
            segment.state = if failed { SegmentState::Failed } else { SegmentState::Queued };
            segment.error = error.filter(|_| failed).map(str::to_owned);
            segment.bytes = 0;
        }
        self.reset = Some(error.map(str::to_owned));
    }

    /// Removes all segments and their rows.
    pub async fn clear(&mut self) {
        self.segments.clear();
        self.unwritten.clear();
        (self.reset, self.counted) = (None, 0);
        if let Err(error) = self.store.delete_segments(self.recording, &self.parameters).await {
            tracing::debug!(%error, "rows of segments not removed; the periodic task will");
        }
    }

    /// Commits the changes. After an error the next call tries again.
    pub async fn write(&mut self) {
        if let Err(error) = self.try_write().await {
            tracing::debug!(%error, "states of segments not committed yet");
        }
    }

    async fn try_write(&mut self) -> Result<(), StoreError> {
        if let Some(error) = &self.reset {
            let (recording, parameters) = (self.recording, &self.parameters);
            self.store.requeue_segments(recording, parameters, error.as_deref()).await?;
            self.reset = None;
        }
        while let Some(number) = self.unwritten.first().copied() {
            match self.segments.get(number as usize) {
                Some(segment) => self.store.write_segment(segment).await?,
                None => debug_assert!(false, "only numbers of segments are inserted"),
            }
            self.unwritten.remove(&number);
        }
        Ok(())
    }

    fn push(&mut self, media_bytes: u64) {
        let number = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        self.segments.push(Segment {
            recording: self.recording,
            parameters: self.parameters.to_string(),
            number,
            node: self.node.clone(),
            state: SegmentState::Queued,
            start: self.interval.saturating_mul(number),
            duration: self.interval,
            media_bytes,
            bytes: 0,
            error: None,
            created_at: Utc::now(),
        });
        self.unwritten.insert(number);
    }

    /// Segments are made in order: the first that is not DONE is IN_PROGRESS.
    fn mark_next(&mut self) {
        let next = self.segments.iter_mut().rev().take_while(|segment| segment.state != SegmentState::Done);
        if let Some(next) = next.last().filter(|next| next.state != SegmentState::InProgress) {
            next.state = SegmentState::InProgress;
            self.unwritten.insert(next.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use store_sqlite::SqliteStore;

    use super::*;

    fn segment(number: u32) -> FollowedSegment {
        FollowedSegment { number, start: Duration::ZERO, duration: Duration::from_secs(10), bytes: 5 }
    }

    #[tokio::test]
    async fn a_number_that_leaves_a_gap_is_refused_and_adds_no_segment() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path().join("recorder.db")).await.unwrap());
        let (recording, node, interval) = (RecordingId::new(), NodeId::default(), Duration::from_secs(10));
        let mut tracker = SegmentTracker::new(store, recording, "{}".into(), node, interval);
        tracker.recorded(Duration::from_secs(20), 2000);
        for number in 0..3 {
            assert_eq!(tracker.done(&segment(number)), Ok(()));
        }
        for number in [4, u32::MAX] {
            assert!(matches!(tracker.done(&segment(number)), Err(RenderError::Transient(_))));
        }
        assert_eq!(tracker.segments.len(), 3);
    }
}
