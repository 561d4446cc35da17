//! Plays many senders in real time from one thread.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};
use thiserror::Error;
use tokio::sync::oneshot;

use super::{Impairment, Sender, SenderConfig, SenderError, SenderStats, Track};

/// The driver's thread has ended: it panicked, or the driver was dropped before its sessions.
#[derive(Debug, Error)]
#[error("the sender's thread has ended")]
pub struct DriverGone;

type Command = Box<dyn FnOnce(&mut Sessions) + Send>;

/// Commands that may wait. Further callers spin until there is room.
const COMMANDS: usize = 256;

const WAKE: u64 = u64::MAX;

/// One thread that plays senders, each on its own UDP socket. Dropping it ends them all without BYE or close_notify.
pub struct Driver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    commands: SyncSender<Command>,
    wake: EventFd,
}

/// One sender in a [`Driver`].
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    id: u64,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's, if it has no thread or descriptor left.
    pub fn start() -> io::Result<Self> {
        let (commands, inbox) = sync_channel(COMMANDS);
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let shared = Arc::new(Shared { commands, wake });
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&shared.wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let sessions =
            Sessions { epoll, live: HashMap::new(), next_id: 0, running: true, wake: shared.clone() };
        let thread = thread::Builder::new().name("senders".into()).spawn(move || sessions.run(&inbox))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Adds a sender on a new socket of `ip`.
    ///
    /// # Errors
    /// The socket's, or [`DriverGone`] as [`io::ErrorKind::Other`].
    pub async fn add(&self, config: SenderConfig, ip: IpAddr) -> io::Result<Session> {
        let id =
            self.shared.call(move |sessions| sessions.add(config, ip)).await.map_err(io::Error::other)??;
        Ok(Session { shared: self.shared.clone(), id })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.send(Box::new(|sessions| sessions.running = false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn send(&self, mut command: Command) {
        loop {
            match self.commands.try_send(command) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(returned)) => command = returned,
            }
            thread::yield_now();
        }
        let _ = self.wake.write(1);
    }

    async fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Sessions) -> R + Send + 'static,
    ) -> Result<R, DriverGone> {
        let (reply, result) = oneshot::channel();
        self.send(Box::new(move |sessions| {
            let _ = reply.send(call(sessions));
        }));
        result.await.map_err(|_| DriverGone)
    }
}

impl Session {
    /// Runs `call` on the sender, in the driver's thread.
    ///
    /// # Errors
    /// [`DriverGone`], also when the session has been removed.
    pub async fn with<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Sender, Instant) -> R + Send + 'static,
    ) -> Result<R, DriverGone> {
        let id = self.id;
        let called = self.shared.call(move |sessions| {
            let now = Instant::now();
            let live = sessions.live.get_mut(&id)?;
            let result = call(&mut live.sender, now);
            live.flush(now);
            Some(result)
        });
        called.await?.ok_or(DriverGone)
    }

    /// The first offer; see [`Sender::offer`].
    ///
    /// # Errors
    /// The sender's; a panic of the driver reads as nothing to negotiate.
    pub async fn offer(&self) -> Result<String, SenderError> {
        self.with(|sender, _| sender.offer()).await.unwrap_or(Err(SenderError::NothingToNegotiate))
    }

    /// An offer that adds a track; see [`Sender::offer_more`].
    ///
    /// # Errors
    /// As [`Session::offer`].
    pub async fn offer_more(&self, track: Track) -> Result<String, SenderError> {
        let offer = self.with(move |sender, now| sender.offer_more(&track, now)).await;
        offer.unwrap_or(Err(SenderError::NothingToNegotiate))
    }

    /// Applies the answer; see [`Sender::accept_answer`].
    ///
    /// # Errors
    /// As [`Session::offer`].
    pub async fn accept_answer(&self, answer: String) -> Result<(), SenderError> {
        let accepted = self.with(move |sender, now| sender.accept_answer(&answer, now)).await;
        accepted.unwrap_or(Err(SenderError::NothingToNegotiate))
    }

    /// The counters up to now; zeros if the session is gone.
    pub async fn stats(&self) -> SenderStats {
        self.with(|sender, _| sender.stats()).await.unwrap_or_default()
    }

    /// Changes the network from now on.
    pub async fn set_impairment(&self, outgoing: Impairment, incoming: Impairment) {
        let _ = self.with(move |sender, _| sender.set_impairment(outgoing, incoming)).await;
    }

    /// Sends BYE and close_notify, and removes the sender.
    pub async fn close(&self) {
        let _ = self.with(Sender::close).await;
        self.vanish().await;
    }

    /// Removes the sender without sending anything, like a pulled cable.
    pub async fn vanish(&self) {
        let id = self.id;
        let _ = self.shared.call(move |sessions| sessions.live.remove(&id).is_some()).await;
    }
}

struct Sessions {
    epoll: Epoll,
    live: HashMap<u64, Live>,
    next_id: u64,
    running: bool,
    wake: Arc<Shared>,
}

struct Live {
    sender: Sender,
    socket: UdpSocket,
}

impl Sessions {
    fn add(&mut self, config: SenderConfig, ip: IpAddr) -> io::Result<u64> {
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
        socket.set_nonblocking(true)?;
        let sender = Sender::new(config, socket.local_addr()?, Instant::now()).map_err(io::Error::other)?;
        let id = self.next_id;
        self.next_id += 1;
        self.epoll.add(socket.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, id))?;
        self.live.insert(id, Live { sender, socket });
        Ok(id)
    }

    fn run(mut self, inbox: &Receiver<Command>) {
        let mut events = [EpollEvent::empty(); 64];
        while self.running {
            let ready = self.epoll.wait(&mut events, self.patience()).unwrap_or(0);
            let now = Instant::now();
            for id in events[..ready].iter().map(EpollEvent::data) {
                if id == WAKE {
                    let _ = self.wake.wake.read();
                } else if let Some(live) = self.live.get_mut(&id) {
                    live.receive(now);
                }
            }
            while let Ok(command) = inbox.try_recv() {
                command(&mut self);
            }
            let now = Instant::now();
            for live in self.live.values_mut().filter(|live| live.sender.poll_timeout() <= now) {
                live.sender.handle_timeout(now);
                live.flush(now);
            }
        }
    }

    /// Rounded down to whole milliseconds and at least one: a frame may leave a millisecond late, never in a busy loop.
    fn patience(&self) -> EpollTimeout {
        let now = Instant::now();
        let next = self.live.values().map(|live| live.sender.poll_timeout()).min();
        let wait = next.map_or(Duration::from_secs(1), |next| next.saturating_duration_since(now));
        EpollTimeout::from(wait.as_millis().clamp(1, 1000) as u16)
    }
}

impl Live {
    fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        // Any error ends this round of reads. A refused port shows as silence.
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            self.sender.handle_datagram(now, source, buffer[..length].to_vec());
        }
        self.flush(now);
    }

    fn flush(&mut self, now: Instant) {
        while let Some((destination, datagram)) = self.sender.poll_transmit(now) {
            // A full socket buffer loses the datagram, as a network would.
            let _ = self.socket.send_to(&datagram, destination);
        }
    }
}
