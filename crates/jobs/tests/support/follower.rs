//! A follower that fails by script.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use jobs::{FollowRequest, Followed, FollowedSegment, Following, RenderError, Rendered};
use tokio::sync::Notify;

/// Bytes of the recording in one segment.
pub const SEGMENT: u64 = 1000;

/// A follower's fault.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Dies after so many segments.
    DiesAfter(u32),
    /// Never joins the segments.
    HangsAtTheEnd,
    /// Does not start.
    Refused(RenderError),
}

/// The faults of the next followers, and how many there have been.
#[derive(Debug, Default)]
pub struct FollowerScript {
    faults: Mutex<VecDeque<Fault>>,
    begun: AtomicUsize,
    alive: Arc<AtomicUsize>,
}

impl FollowerScript {
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub fn begun(&self) -> usize {
        self.begun.load(SeqCst)
    }

    pub fn alive(&self) -> usize {
        self.alive.load(SeqCst)
    }

    pub fn begin(&self, request: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError> {
        let fault = self.faults.lock().unwrap().pop_front();
        self.begun.fetch_add(1, SeqCst);
        if let Some(Fault::Refused(error)) = fault {
            return Err(error);
        }
        self.alive.fetch_add(1, SeqCst);
        Ok(Box::new(ScriptedFollower {
            segments: request.segments.to_owned(),
            interval: request.interval,
            fault,
            made: 0,
            until: 0,
            end: None,
            changed: Notify::new(),
            alive: Arc::clone(&self.alive),
        }))
    }
}

struct ScriptedFollower {
    segments: PathBuf,
    interval: Duration,
    fault: Option<Fault>,
    made: u32,
    until: u64,
    end: Option<PathBuf>,
    changed: Notify,
    alive: Arc<AtomicUsize>,
}

impl Drop for ScriptedFollower {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

#[async_trait::async_trait]
impl Following for ScriptedFollower {
    async fn advance(&mut self, until: u64) -> Result<(), RenderError> {
        self.until = until;
        self.changed.notify_one();
        Ok(())
    }

    async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), RenderError> {
        self.until = bytes;
        self.end = Some(output.to_owned());
        self.changed.notify_one();
        Ok(())
    }

    async fn next(&mut self) -> Result<Followed, RenderError> {
        loop {
            if matches!(self.fault, Some(Fault::DiesAfter(segments)) if segments == self.made) {
                return Err(RenderError::Transient("killed by signal 9".to_owned()));
            }
            let whole = u64::from(self.made + 1) * SEGMENT;
            let rest = self.end.is_some() && u64::from(self.made) * SEGMENT < self.until;
            if whole <= self.until || rest {
                fs::write(self.segments.join(self.made.to_string()), "sound").unwrap();
                let (number, duration) = (self.made, self.interval);
                self.made += 1;
                let start = self.interval * number;
                return Ok(Followed::Segment(FollowedSegment { number, start, duration, bytes: 5 }));
            }
            if let (Some(output), false) = (&self.end, matches!(self.fault, Some(Fault::HangsAtTheEnd))) {
                fs::write(output, format!("{} segments", self.made)).unwrap();
                let duration = self.interval * self.made;
                return Ok(Followed::Rendered(Rendered { duration, width: 0, height: 0 }));
            }
            self.changed.notified().await;
        }
    }
}
