//! What a shard can be asked. Rare, so it goes through a bounded queue and an eventfd that wakes the thread; who asks
//! waits while the queue is full.

use std::{net::SocketAddr, sync::Arc};

use model::{EndReason, SessionId};
use nix::sys::eventfd::EventFd;
use peer::OfferError;
use spool::SpoolFile;
use tokio::sync::{mpsc, oneshot};

use crate::session::{finalizing::WrittenDown, state::Bounds};

/// A session to begin.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) offer: String,
    pub(crate) written_down: WrittenDown,
    pub(crate) file: SpoolFile,
    pub(crate) bounds: Bounds,
    pub(crate) answer: oneshot::Sender<Result<String, OfferError>>,
}

/// What a session counts.
#[derive(Debug)]
pub(crate) struct SessionStatistics {
    pub(crate) id: SessionId,
    pub(crate) paused: bool,
    pub(crate) bytes: u64,
    pub(crate) tracks: Vec<(String, media::TrackStatistics, peer::TrackStatistics)>,
}

/// A wish.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answer an offer and begin.
    Begin(Box<Begin>),
    /// The session has no future: its begin failed elsewhere. It goes without a recording.
    Abandon { id: SessionId, done: oneshot::Sender<()> },
    /// Answer another offer. No answer: the session has ended.
    Renegotiate { id: SessionId, offer: String, answer: oneshot::Sender<Result<String, OfferError>> },
    /// End a session. Its end is told by the registry.
    Stop { id: SessionId, reason: EndReason },
    /// Pause a session, or resume it. False: it has ended.
    Pause { id: SessionId, paused: bool, answer: oneshot::Sender<bool> },
    /// Tell the counters of every session.
    Statistics(oneshot::Sender<Vec<SessionStatistics>>),
}

/// The thread is gone: it panicked, which is a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the media shard is gone")]
pub(crate) struct ShardGone;

/// The way to a shard. Its thread ends when this is dropped.
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

    /// Puts a wish into the queue, waiting for room.
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

    /// Where it listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.commands = None;
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            // A shard that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Wakes the thread that polls this eventfd.
pub(crate) fn wake(eventfd: &EventFd) {
    // It fails only when its counter is at the maximum: then the thread has been woken.
    let _ = eventfd.write(1);
}
