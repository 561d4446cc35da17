//! The task of a session: inputs, commands and timers.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use model::EndReason;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    control::Control,
    feeder::{SourceFeeder, SourceInput},
};
use crate::session::{Session, finalizing::Finalizer};

/// How often the disk is checked.
const DISK_CHECK: Duration = Duration::from_millis(100);

/// Runs a session until it is over and finalizes it. On cancellation it stops where it is: the next start repairs the
/// file. While more than `max_waiting_bytes` wait for the disk, no input is received: the queue fills, and the source
/// waits (back-pressure).
pub(super) async fn run(
    session: Session<SourceFeeder>,
    inputs: mpsc::Receiver<SourceInput>,
    controls: mpsc::Receiver<Control>,
    max_waiting_bytes: usize,
    finalizer: Arc<Finalizer>,
    cancelled: CancellationToken,
) {
    let mut task = Task { session, inputs, max_waiting_bytes };
    // What a panic leaves half changed is not used again: the file is repaired.
    let live = AssertUnwindSafe(task.run(controls)).catch_unwind();
    match cancelled.run_until_cancelled(live).await {
        None => return,
        Some(Ok(())) => {}
        Some(Err(_)) => {
            error!(session_id = %task.session.id(), "the session panicked and ends");
            task.session.break_off();
        }
    }
    if let Some(ended) = task.session.into_ended() {
        finalizer.finalize(ended);
    }
}

struct Task {
    session: Session<SourceFeeder>,
    inputs: mpsc::Receiver<SourceInput>,
    max_waiting_bytes: usize,
}

impl Task {
    async fn run(&mut self, mut controls: mpsc::Receiver<Control>) {
        let mut next_check = now() + DISK_CHECK;
        while !self.session.is_over() {
            let behind = self.is_behind();
            let due = self.session.due().map_or(next_check, |due| due.min(next_check));
            tokio::select! {
                biased;
                Some(control) = controls.recv() => self.handle_control(control).await,
                () = tokio::time::sleep_until(due.into()) => {
                    let now = now();
                    if now >= next_check {
                        next_check = now + DISK_CHECK;
                        self.session.check_disk(now);
                    }
                    self.session.handle_timeout(now);
                }
                () = self.session.recorder().disk_progressed(), if behind => {}
                input = self.inputs.recv(), if !behind => self.handle_input(input),
            }
        }
    }

    /// Executes a command, after the inputs that were in the queue when it arrived.
    async fn handle_control(&mut self, control: Control) {
        if !matches!(control, Control::Statistics(_)) {
            for _ in 0..self.inputs.len() {
                self.wait_for_disk().await;
                match self.inputs.try_recv() {
                    Ok(input) if self.session.is_live() => self.handle_input(Some(input)),
                    _ => break,
                }
            }
        }
        match control {
            Control::Stop(reason) => self.session.stop(reason, now()),
            // The caller may have stopped waiting for an answer.
            Control::Pause { paused, answer } => drop(answer.send(self.session.pause(paused, now()))),
            Control::Statistics(answer) => drop(answer.send(self.session.statistics())),
        }
    }

    /// Returns when the disk has caught up or has failed.
    async fn wait_for_disk(&mut self) {
        while self.session.is_live() && self.is_behind() {
            let _ = tokio::time::timeout(DISK_CHECK, self.session.recorder().disk_progressed()).await;
            let now = now();
            self.session.check_disk(now);
            self.session.pump(now);
        }
    }

    fn is_behind(&self) -> bool {
        self.session.recorder().waiting_bytes() > self.max_waiting_bytes
    }

    /// Records an input; none: the source dropped its handle.
    fn handle_input(&mut self, input: Option<SourceInput>) {
        let now = now();
        match input {
            None => self.session.stop(EndReason::PeerClosed, now),
            Some(input) => {
                self.session.feeder_mut().take(input);
                self.session.pump(now);
            }
        }
    }
}

/// The instant by tokio's clock, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
