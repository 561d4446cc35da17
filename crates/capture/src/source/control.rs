//! The commands of a session with a task of its own.

use model::EndReason;
use tokio::sync::{mpsc, oneshot};

use crate::session::statistics::SessionStatistics;

/// Commands on their way to the task. Senders wait while the channel is full.
pub(crate) const CONTROLS: usize = 16;

/// A command to a session's task.
#[derive(Debug)]
pub(crate) enum Control {
    /// Ends the session, after the inputs in the queue.
    Stop(EndReason),
    /// Pauses or resumes it, after the inputs in the queue. Answers false if it has ended.
    Pause { paused: bool, answer: oneshot::Sender<bool> },
    /// Returns its counters.
    Statistics(oneshot::Sender<SessionStatistics>),
}

/// The counters of a session; none if its task is gone.
pub(crate) async fn statistics(controls: &mpsc::Sender<Control>) -> Option<SessionStatistics> {
    let (answer, answered) = oneshot::channel();
    controls.send(Control::Statistics(answer)).await.ok()?;
    answered.await.ok()
}
