//! Progress and cancellation.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{TranscodeError, seconds, time::Time};

/// The progress of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 1; never decreases.
    pub fraction: f32,
    /// Seconds of media processed in a second.
    pub speed: f32,
    /// Estimate of the remaining time; `None` until there is one.
    #[serde(with = "seconds::optional")]
    pub remaining: Option<Duration>,
}

/// The least time between two reports.
const INTERVAL: Duration = Duration::from_millis(200);

/// Reports progress to the caller, and cancellation to the renderer.
pub(crate) struct Meter<'a> {
    cancelled: &'a AtomicBool,
    report: &'a mut dyn FnMut(Progress),
    started: Instant,
    reported: Option<Instant>,
    fraction: f32,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(cancelled: &'a AtomicBool, report: &'a mut dyn FnMut(Progress)) -> Self {
        Self { cancelled, report, started: Instant::now(), reported: None, fraction: 0.0 }
    }

    /// The cancellation flag, for code that runs long between two reports.
    pub(crate) fn cancelled(&self) -> Cancelled<'a> {
        Cancelled(self.cancelled)
    }

    /// `done` of `whole` media time has been processed.
    pub(crate) fn at(&mut self, done: Time, whole: Time) -> Result<(), TranscodeError> {
        self.cancelled().check()?;
        let now = Instant::now();
        if self.reported.is_some_and(|then| now.duration_since(then) < INTERVAL) || whole <= Time::ZERO {
            return Ok(());
        }
        self.reported = Some(now);
        let elapsed = now.duration_since(self.started).as_secs_f64();
        let done = done.max(Time::ZERO).min(whole).seconds();
        self.fraction = self.fraction.max((done / whole.seconds()) as f32);
        let speed = done / elapsed.max(1e-6);
        let left = (whole.seconds() - done) / speed;
        let remaining = Duration::try_from_secs_f64(left).ok().filter(|_| done > 0.0);
        (self.report)(Progress { fraction: self.fraction, speed: speed as f32, remaining });
        Ok(())
    }

    /// All of `whole` has been processed.
    pub(crate) fn done(&mut self, whole: Time) {
        let elapsed = self.started.elapsed().as_secs_f64();
        let speed = (whole.max(Time::ZERO).seconds() / elapsed.max(1e-6)) as f32;
        (self.report)(Progress { fraction: 1.0, speed, remaining: Some(Duration::ZERO) });
    }
}

/// The cancellation flag.
#[derive(Clone, Copy)]
pub(crate) struct Cancelled<'a>(&'a AtomicBool);

impl Cancelled<'_> {
    /// For work that is stopped by killing its process.
    pub(crate) fn never() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self(&NEVER)
    }

    pub(crate) fn check(self) -> Result<(), TranscodeError> {
        if self.0.load(Ordering::Relaxed) { Err(TranscodeError::Cancelled) } else { Ok(()) }
    }
}
