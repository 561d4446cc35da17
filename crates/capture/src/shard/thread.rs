//! The loop of a shard.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use model::SessionId;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use peer::{Endpoint, Environment, OfferError, PeerConfig, Protocol};
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TryRecvError},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, warn};

use super::{
    commands::{Begin, Command, Shard},
    demux::{Key, Path, is_stun},
    outbox::Outbox,
    sessions::{Sessions, guarded},
    socket::{Buffers, Receiver},
    tcp::{self, Connection, TcpEvent, TcpLimits, ToShard},
    ticker::{Ticker, Wait},
    webrtc::WebrtcSession,
};
use crate::{
    metrics::{ShardCounters, ShardMetrics},
    session::finalizing::{EndedSession, Finalizer},
};

/// Commands that wait. Callers wait while the queue is full.
const COMMANDS: usize = 256;
/// ICE-TCP datagrams that wait. More are dropped and counted.
const TCP_EVENTS: usize = 1024;
/// Batches of one socket before the timers run.
const BATCHES: usize = 64;
/// How often the disks are checked.
const DISK_CHECK: Duration = Duration::from_millis(100);

/// The parts of a shard.
pub(crate) struct ShardConfig {
    pub(crate) number: usize,
    /// One socket for each address, bound; and the listener on the same address where ICE-TCP is offered.
    pub(crate) sockets: Vec<(UdpSocket, Option<TcpListener>)>,
    pub(crate) environment: Arc<Environment>,
    pub(crate) peer: Arc<PeerConfig>,
    pub(crate) tick: Duration,
    pub(crate) tcp: TcpLimits,
    pub(crate) finalizer: Arc<Finalizer>,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancelled: CancellationToken,
}

/// Starts the shard's thread and its listeners. Needs a tokio runtime.
pub(crate) fn spawn(config: ShardConfig) -> io::Result<Shard> {
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    let (command_sender, commands) = mpsc::channel(COMMANDS);
    let (event_sender, tcp_events) = mpsc::channel(TCP_EVENTS);
    let tcp_dropped = Arc::new(AtomicU64::new(0));
    let to_shard = ToShard {
        events: event_sender,
        wake: Arc::clone(&wake),
        dropped: Arc::clone(&tcp_dropped),
        connections: Arc::new(Semaphore::new(config.tcp.connections)),
        unauthenticated: Arc::new(Semaphore::new(config.tcp.unauthenticated)),
        first_use: config.tcp.first_use,
        tasks: config.tasks.clone(),
        cancelled: config.cancelled.clone(),
    };
    let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
    for (local, (socket, listener)) in (0_u16..).zip(config.sockets) {
        addresses.push(socket.local_addr()?);
        sockets.push(socket);
        if let Some(listener) = listener {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            config.tasks.spawn(tcp::listen(listener, local, to_shard.clone()));
        }
    }
    let (waker, on_thread) = (Arc::clone(&wake), addresses.clone());
    let parts = (config.environment, config.peer, config.finalizer, config.tick);
    let thread = thread::Builder::new().name(format!("media-shard-{}", config.number)).spawn(move || {
        let (environment, peer, finalizer, tick) = parts;
        let now = Instant::now();
        let shard = Loop {
            commands,
            tcp_events,
            tcp_dropped,
            wake: waker,
            receivers: sockets.into_iter().map(|socket| Receiver::new(socket, now)).collect(),
            outbox: Outbox::new(on_thread.clone()),
            addresses: on_thread,
            buffers: Buffers::new(),
            connections: HashMap::new(),
            sessions: Sessions::default(),
            orphans: Vec::new(),
            touched: Vec::new(),
            environment,
            peer,
            finalizer,
            ticker: Ticker::new(tick, now),
            next_disk_check: now,
            counters: ShardCounters::default(),
            metrics: ShardMetrics::new(),
        };
        shard.run();
    })?;
    Ok(Shard::new(command_sender, wake, addresses, thread))
}

struct Loop {
    commands: mpsc::Receiver<Command>,
    tcp_events: mpsc::Receiver<TcpEvent>,
    tcp_dropped: Arc<AtomicU64>,
    wake: Arc<EventFd>,
    receivers: Vec<Receiver>,
    addresses: Vec<SocketAddr>,
    buffers: Buffers,
    connections: HashMap<Path, Connection>,
    sessions: Sessions,
    outbox: Outbox,
    /// ICE-TCP paths of sessions that are over.
    orphans: Vec<Path>,
    /// Empty between two wake-ups; reused for its memory.
    touched: Vec<Key>,
    environment: Arc<Environment>,
    peer: Arc<PeerConfig>,
    finalizer: Arc<Finalizer>,
    ticker: Ticker,
    next_disk_check: Instant,
    counters: ShardCounters,
    metrics: ShardMetrics,
}

impl Loop {
    /// Runs until all senders of commands are gone.
    fn run(mut self) {
        let mut on_sockets = true;
        let mut due = None;
        loop {
            let wait = self.ticker.wait(Instant::now(), on_sockets, due);
            self.sleep(wait);
            // Datagrams first: a session that is stopped records everything received before.
            let is_due = !wait.on_sockets && self.ticker.is_due(Instant::now());
            if wait.on_sockets || !self.commands.is_empty() || is_due {
                self.receive(is_due);
            }
            self.receive_tcp();
            self.pump();
            if !self.handle_commands() {
                return;
            }
            (on_sockets, due) = self.run_timers();
            self.flush();
            self.counters.tcp_dropped += self.tcp_dropped.swap(0, Ordering::Relaxed);
            self.metrics.report(&mut self.counters);
        }
    }

    /// Waits for a command, an ICE-TCP event, the deadline, or a datagram if `wait` says so.
    fn sleep(&self, wait: Wait) {
        use std::os::fd::AsFd;
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        if wait.on_sockets {
            fds.extend(self.receivers.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        }
        // Whole milliseconds, rounded up: waking early would only mean waiting again.
        let millis = wait.at_most.as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                error!(%error, "the shard's poll failed");
                thread::sleep(wait.at_most.min(Duration::from_millis(5)));
            }
        }
        // It fails only if nothing woke the thread.
        let _ = self.wake.read();
    }

    /// Drains the sockets. `is_due`: a tick has passed since the last drain.
    fn receive(&mut self, is_due: bool) {
        for local in 0..self.receivers.len() {
            let before = self.counters.datagrams;
            for _ in 0..BATCHES {
                if !self.receive_batch(local) {
                    break;
                }
            }
            let received = usize::try_from(self.counters.datagrams - before).unwrap_or(usize::MAX);
            if let Some(receiver) = self.receivers.get(local).filter(|_| is_due) {
                self.ticker.note_drained(received, receiver.capacity());
            }
        }
    }

    /// Moves received media to the recorders, one session after the other.
    fn pump(&mut self) {
        let now = Instant::now();
        self.sessions.each_marked(|session| session.session_mut().pump(now));
    }

    /// Receives one batch from one socket. Returns whether more may wait.
    fn receive_batch(&mut self, local: usize) -> bool {
        let (Some(receiver), Some(&address)) = (self.receivers.get_mut(local), self.addresses.get(local))
        else {
            debug_assert!(false, "each receiver has an address");
            return false;
        };
        let mut inbox =
            Inbox { sessions: &mut self.sessions, outbox: &mut self.outbox, counters: &mut self.counters };
        let result = receiver.receive(&mut self.buffers, |now, source, arrival, datagram| {
            let remote = Endpoint { protocol: Protocol::Udp, address: source };
            inbox.route(now, arrival, Path { local: local as u16, remote }, address, datagram);
        });
        match result {
            Ok(batch) => {
                self.counters.truncated += batch.truncated;
                batch.more
            }
            // An ICMP error about a datagram sent earlier. The socket works.
            Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EINTR) => true,
            Err(error) => {
                warn!(%error, "receiving failed");
                false
            }
        }
    }

    fn receive_tcp(&mut self) {
        let now = Instant::now();
        for _ in 0..TCP_EVENTS {
            match self.tcp_events.try_recv() {
                Ok(TcpEvent::Opened { path, connection }) => drop(self.connections.insert(path, connection)),
                Ok(TcpEvent::Closed { path }) => drop(self.connections.remove(&path)),
                Ok(TcpEvent::Datagram { path, arrival, datagram }) => {
                    let Some(&address) = self.addresses.get(usize::from(path.local)) else {
                        debug_assert!(false, "a listener has the index of its address");
                        continue;
                    };
                    let (sessions, outbox) = (&mut self.sessions, &mut self.outbox);
                    let mut inbox = Inbox { sessions, outbox, counters: &mut self.counters };
                    inbox.route(now, arrival.min(now), path, address, &datagram);
                }
                Err(_) => return,
            }
        }
    }

    /// Handles the timers that are due. Returns whether the shard must wait on its sockets, and when the next timer is due.
    fn run_timers(&mut self) -> (bool, Option<Instant>) {
        let now = Instant::now();
        let check_disk = now >= self.next_disk_check;
        if check_disk {
            self.next_disk_check = now + DISK_CHECK;
        }
        let (mut on_sockets, mut due) = (self.sessions.is_empty(), None::<Instant>);
        let mut touched = std::mem::take(&mut self.touched);
        for (key, session) in self.sessions.iter_mut() {
            let is_due = session.due().is_some_and(|due| due <= now);
            if is_due || check_disk {
                let _ = guarded(session, |session| session.handle_timeout(now, check_disk));
            }
            if is_due || session.session().is_over() {
                touched.push(key);
            }
            on_sockets |= session.is_handshaking();
            due = [due, session.due()].into_iter().flatten().min();
        }
        for key in touched.drain(..) {
            self.sessions.mark(key);
        }
        self.touched = touched;
        (on_sockets, due)
    }

    /// Sends the output of the marked sessions, and finalizes those that are over.
    fn flush(&mut self) {
        let mut marked = std::mem::take(&mut self.sessions.marked);
        for key in marked.drain(..) {
            self.outbox.fetch(&mut self.sessions, key, &mut self.counters);
            let Some(session) = self.sessions.get_mut(key) else { continue };
            self.counters.data_messages += session.take_data_messages();
            session.is_marked = false;
            if !session.session().is_over() {
                session.refresh_due();
            } else if let Some(ended) = self.remove(key) {
                self.finalizer.finalize(ended);
            }
        }
        self.sessions.marked = marked;
        self.outbox.send(&self.receivers, &mut self.connections, &mut self.counters);
        for path in self.orphans.drain(..) {
            // The connection still writes the queued close of the peer, then it ends.
            self.connections.remove(&path);
        }
    }

    fn remove(&mut self, key: Key) -> Option<EndedSession> {
        let (routes, ended) = self.sessions.remove(key)?.into_ended();
        self.orphans.extend(self.sessions.routes.forget(key, routes).filter(Path::is_tcp));
        ended
    }

    /// Executes commands. Returns false when all senders are gone.
    fn handle_commands(&mut self) -> bool {
        for _ in 0..COMMANDS {
            let now = Instant::now();
            // Callers may have stopped waiting for their answer.
            match self.commands.try_recv() {
                Ok(Command::Begin(begin)) => self.begin(*begin, now),
                Ok(Command::Renegotiate { id, offer, answer }) => {
                    let _ = answer.send(self.renegotiate(id, &offer, now));
                }
                Ok(Command::Stop { id, reason }) => {
                    if let Some(key) = self.sessions.find(id) {
                        self.sessions.with(key, |session| session.session_mut().stop(reason, now));
                    }
                }
                Ok(Command::Pause { id, paused, answer }) => {
                    let mut done = false;
                    if let Some(key) = self.sessions.find(id) {
                        self.sessions.with(key, |session| done = session.session_mut().pause(paused, now));
                    }
                    let _ = answer.send(done);
                }
                Ok(Command::Abandon { id, done }) => {
                    if let Some(key) = self.sessions.find(id) {
                        drop(self.remove(key));
                    }
                    let _ = done.send(());
                }
                Ok(Command::Statistics(answer)) => {
                    let sessions = self.sessions.iter_mut();
                    let _ =
                        answer.send(sessions.map(|(_, session)| session.session().statistics()).collect());
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn begin(&mut self, begin: Begin, now: Instant) {
        let Begin { offer, session, file, limits, answer } = begin;
        let (environment, config) = (Arc::clone(&self.environment), Arc::clone(&self.peer));
        let mut session = WebrtcSession::new(environment, config, session, file, limits, now);
        let fresh = self.sessions.fresh_credentials();
        let accept = |session: &mut WebrtcSession| session.accept_offer(&offer, fresh, now);
        // After a panic the caller finds its answer dropped.
        let Some(accepted) = guarded(&mut session, accept) else { return };
        let result = accepted.map(|accepted| {
            self.sessions.insert(session, &accepted.ufrag);
            accepted.sdp
        });
        let _ = answer.send(result);
    }

    fn renegotiate(&mut self, id: SessionId, offer: &str, now: Instant) -> Result<String, OfferError> {
        let key = self.sessions.find(id).ok_or(OfferError::Closed)?;
        let fresh = self.sessions.fresh_credentials();
        let (session, routes) = self.sessions.with_routes(key).ok_or(OfferError::Closed)?;
        let accepted = guarded(session, |session| session.accept_offer(offer, fresh, now));
        // A session that panicked is finalized at the next flush.
        if session.session().is_over() {
            self.sessions.mark(key);
            return Err(OfferError::Closed);
        }
        let answer = accepted.unwrap_or(Err(OfferError::Closed))?;
        routes.add_ufrag(key, &mut session.routes, &answer.ufrag);
        self.sessions.mark(key);
        Ok(answer.sdp)
    }
}

/// Routes received datagrams to sessions.
struct Inbox<'a> {
    sessions: &'a mut Sessions,
    outbox: &'a mut Outbox,
    counters: &'a mut ShardCounters,
}

impl Inbox<'_> {
    fn route(
        &mut self,
        now: Instant,
        arrival: Instant,
        path: Path,
        destination: SocketAddr,
        datagram: &[u8],
    ) {
        self.counters.datagrams += 1;
        self.counters.bytes += datagram.len() as u64;
        let Some(key) = self.sessions.routes.route(&path, datagram) else {
            self.counters.unroutable += 1;
            return;
        };
        let handle = |session: &mut WebrtcSession| {
            session.handle_datagram(now, arrival, path.remote, destination, datagram);
        };
        self.sessions.with(key, handle);
        if is_stun(datagram) {
            // The answer may authenticate the path, which the next datagram on it needs.
            self.outbox.fetch(self.sessions, key, self.counters);
        }
    }
}
