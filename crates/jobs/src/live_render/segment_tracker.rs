//! What is known of the segments of one rendition, and what of that is written down.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::Utc;
use model::{NodeId, RecordingId, Segment, SegmentState};
use store::{Store, StoreError};

use crate::{FollowedSegment, metrics};

/// The segments, by number. The database is told after each change; while it is away they wait.
pub(crate) struct SegmentTracker {
    store: Arc<dyn Store>,
    recording: RecordingId,
    parameters: Arc<str>,
    node: NodeId,
    interval: Duration,
    segments: Vec<Segment>,
    /// Numbers of those that the database does not know as they are now.
    unwritten: BTreeSet<u32>,
    /// All of them are to be set back there first, for this reason.
    again: Option<Option<String>>,
    /// The end of the media that the segments so far were made for, in bytes.
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
        Self { store, recording, parameters, node, interval, segments, unwritten, again: None, counted: 0 }
    }

    /// The recording has come to `time`, and its file to `bytes`, final or not: segments wait for what is new.
    pub fn recorded(&mut self, time: Duration, bytes: u64) {
        self.waits(time, bytes);
        self.next_is_made();
    }

    /// The same while nobody makes them.
    pub fn waits(&mut self, time: Duration, bytes: u64) {
        let whole = time.as_nanos() / self.interval.as_nanos().max(1);
        let whole = u32::try_from(whole).unwrap_or(u32::MAX);
        let new = u64::from(whole).saturating_sub(self.segments.len() as u64);
        for remaining in (1..=new).rev() {
            let media_bytes = bytes.saturating_sub(self.counted) / remaining;
            self.counted += media_bytes;
            self.push(media_bytes);
        }
    }

    /// A segment has been made.
    pub fn done(&mut self, made: &FollowedSegment) {
        metrics::segment_made();
        while self.segments.len() <= made.number as usize {
            self.push(0);
        }
        if let Some(segment) = self.segments.get_mut(made.number as usize) {
            (segment.start, segment.duration) = (made.start, made.duration);
            (segment.state, segment.bytes, segment.error) = (SegmentState::Done, made.bytes, None);
            self.unwritten.insert(made.number);
        }
        self.next_is_made();
    }

    /// All are to be made anew; the one that was being made has failed, if this is an error.
    pub fn begin_again(&mut self, error: Option<&str>) {
        for segment in &mut self.segments {
            let failed = segment.state == SegmentState::InProgress && error.is_some();
            segment.state = if failed { SegmentState::Failed } else { SegmentState::Queued };
            segment.error = error.filter(|_| failed).map(str::to_owned);
            segment.bytes = 0;
        }
        self.again = Some(error.map(str::to_owned));
    }

    /// There are none, and there will be none as things are.
    pub async fn clear(&mut self) {
        self.segments.clear();
        self.unwritten.clear();
        (self.again, self.counted) = (None, 0);
        if let Err(error) = self.store.forget_segments(self.recording, &self.parameters).await {
            tracing::debug!(%error, "rows of segments are left to the clean-up");
        }
    }

    /// Tells the database what it does not know. If that fails it is told later.
    pub async fn write(&mut self) {
        if let Err(error) = self.try_write().await {
            tracing::debug!(%error, "the state of segments is not written down yet");
        }
    }

    async fn try_write(&mut self) -> Result<(), StoreError> {
        if let Some(error) = &self.again {
            let (recording, parameters) = (self.recording, &self.parameters);
            self.store.begin_segments_again(recording, parameters, error.as_deref()).await?;
            self.again = None;
        }
        while let Some(number) = self.unwritten.first().copied() {
            if let Some(segment) = self.segments.get(number as usize) {
                self.store.note_segment(segment).await?;
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

    /// They are made in order: the first that is not done is at work.
    fn next_is_made(&mut self) {
        let next = self.segments.iter_mut().rev().take_while(|segment| segment.state != SegmentState::Done);
        if let Some(next) = next.last().filter(|next| next.state != SegmentState::InProgress) {
            next.state = SegmentState::InProgress;
            self.unwritten.insert(next.number);
        }
    }
}
