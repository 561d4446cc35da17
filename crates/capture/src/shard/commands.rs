//! Commands to a shard. They are rare, so they go through a bounded queue, and an eventfd wakes the thread. Callers wait
//! while the queue is full.

use std::{net::SocketAddr, sync::Arc};

use model::{EndReason, SessionId};
use nix::sys::eventfd::EventFd;
use peer::OfferError;
use spool::SpoolFile;
use tokio::sync::{mpsc, oneshot};

use crate::session::{finalizing::BegunSession, state::SessionLimits, statistics::SessionStatistics};

/// A session to begin.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) offer: String,
    pub(crate) session: BegunSession,
    pub(crate) file: SpoolFile,
    pub(crate) limits: SessionLimits,
    pub(crate) answer: oneshot::Sender<Result<String, OfferError>>,
}

/// A command to a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answers an offer and begins the session.
    Begin(Box<Begin>),
    /// Drops a session whose beginning failed elsewhere, without a recording.
    Abandon { id: SessionId, done: oneshot::Sender<()> },
    /// Answers another offer of a session.
    Renegotiate { id: SessionId, offer: String, answer: oneshot::Sender<Result<String, OfferError>> },
    /// Ends a session. The registry reports its end.
    Stop { id: SessionId, reason: EndReason },
    /// Pauses or resumes a session. Answers false if it has ended.
    Pause { id: SessionId, paused: bool, answer: oneshot::Sender<bool> },
    /// Returns the counters of every session.
    Statistics(oneshot::Sender<Vec<SessionStatistics>>),
}

/// The thread is gone: it panicked, which is a fault of the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the media shard is gone")]
pub(crate) struct ShardGone;

/// A handle to a shard. Its thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Shard {
    commands: Option<mpsc::Sender<Command>>,
    wake: Arc<EventFd>,
    addresses: Vec<SocketAddr>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Shard {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        wake: Arc<EventFd>,
        addresses: Vec<SocketAddr>,
        thread: std::thread::JoinHandle<()>,
    ) -> Self {
        Self { commands: Some(commands), wake, addresses, thread: Some(thread) }
    }

    /// Sends a command; waits while the queue is full.
    pub(crate) async fn send(&self, command: Command) -> Result<(), ShardGone> {
        self.commands.as_ref().ok_or(ShardGone)?.send(command).await.map_err(|_| ShardGone)?;
        wake(&self.wake);
        Ok(())
    }

    /// The counters of its sessions; none if it is gone.
    pub(crate) async fn statistics(&self) -> Option<Vec<SessionStatistics>> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Statistics(answer)).await.ok()?;
        answered.await.ok()
    }

    /// The addresses that it listens on.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.commands = None;
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a shard that panicked.
            let _ = thread.join();
        }
    }
}

/// Wakes the thread that polls this eventfd.
pub(crate) fn wake(eventfd: &EventFd) {
    // It fails only while its counter is at the maximum: then the thread has been woken.
    let _ = eventfd.write(1);
}
