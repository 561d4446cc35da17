//! ICE-TCP (RFC 6544), passive: for clients whose network blocks UDP. It is rare, so tokio reads it and sends whole
//! datagrams (RFC 4571) to the shard.
//!
//! If the shard's queue is full, a datagram is dropped and counted, as in a full UDP buffer. A connection that no session
//! authenticates within [`TcpLimits::first_use`] is closed, and the number of such connections is limited.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use nix::sys::eventfd::EventFd;
use peer::{Endpoint, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{commands::wake, demux::Path};
use crate::metrics;

/// A larger datagram is no WebRTC: an error or an attack.
const MAX_DATAGRAM: usize = 2048;
/// Datagrams that wait for a slow connection. More are dropped and counted.
const REPLIES: usize = 256;
/// A client that reads nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that sends nothing for this long is gone: its ICE checks come every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The limits of ICE-TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TcpLimits {
    /// Connections per shard.
    pub(crate) connections: usize,
    /// Of them, connections that no session has authenticated.
    pub(crate) unauthenticated: usize,
    /// The time from a connection to its authentication.
    pub(crate) first_use: Duration,
}

/// An event of a connection, for the shard.
#[derive(Debug)]
pub(super) enum TcpEvent {
    Opened { path: Path, connection: Connection },
    Datagram { path: Path, arrival: Instant, datagram: Bytes },
    Closed { path: Path },
}

/// The shard's end of a connection. When it is dropped, the connection closes after its queued replies.
#[derive(Debug)]
pub(super) struct Connection {
    replies: mpsc::Sender<Bytes>,
    authenticated: Option<oneshot::Sender<()>>,
}

impl Connection {
    /// Sends a datagram. Returns false if the connection's queue was full and the datagram is dropped.
    pub(super) fn send(&self, datagram: Bytes) -> bool {
        self.replies.try_send(datagram).is_ok()
    }

    /// Notes that a session has authenticated the connection.
    pub(super) fn authenticate(&mut self) {
        if let Some(authenticated) = self.authenticated.take() {
            // The connection may have ended.
            let _ = authenticated.send(());
        }
    }
}

/// The shard, as its listeners and connections use it.
#[derive(Debug, Clone)]
pub(super) struct ToShard {
    pub(super) events: mpsc::Sender<TcpEvent>,
    pub(super) wake: Arc<EventFd>,
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) unauthenticated: Arc<Semaphore>,
    pub(super) first_use: Duration,
    pub(super) tasks: TaskTracker,
    pub(super) cancelled: CancellationToken,
}

impl ToShard {
    async fn send(&self, event: TcpEvent) -> io::Result<()> {
        self.events.send(event).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        wake(&self.wake);
        Ok(())
    }

    fn send_datagram(&self, path: Path, datagram: Bytes) {
        match self.events.try_send(TcpEvent::Datagram { path, arrival: Instant::now(), datagram }) {
            Ok(()) => wake(&self.wake),
            Err(_) => drop(self.dropped.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Accepts connections on one of the shard's addresses until cancelled.
pub(super) async fn listen(listener: TcpListener, local: u16, shard: ToShard) {
    let cancelled = shard.cancelled.clone();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => accept(stream, remote, local, &shard),
                Err(error) => {
                    // Usually out of descriptors: an immediate retry would spin.
                    warn!(%error, "accepting an ICE-TCP connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    cancelled.run_until_cancelled(accept).await;
}

/// Serves a connection in a task of its own. Past the limits it is closed and counted.
fn accept(stream: TcpStream, remote: SocketAddr, local: u16, shard: &ToShard) {
    let permit = Arc::clone(&shard.connections).try_acquire_owned();
    let unauthenticated = Arc::clone(&shard.unauthenticated).try_acquire_owned();
    let (Ok(permit), Ok(unauthenticated)) = (permit, unauthenticated) else {
        metrics::tcp_connection_refused();
        debug!(%remote, "ICE-TCP connection refused: too many");
        return;
    };
    let path = Path { local, remote: Endpoint { protocol: Protocol::Tcp, address: remote } };
    let to_shard = shard.clone();
    shard.tasks.spawn(async move {
        let cancelled = to_shard.cancelled.clone();
        let served = cancelled.run_until_cancelled(serve(stream, path, &to_shard, unauthenticated)).await;
        if let Some(Err(error)) = served {
            debug!(%remote, %error, "ICE-TCP connection ended");
        }
        // The shard may be gone.
        let _ = to_shard.send(TcpEvent::Closed { path }).await;
        drop(permit);
    });
}

async fn serve(
    stream: TcpStream,
    path: Path,
    shard: &ToShard,
    unauthenticated: tokio::sync::OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (replies, to_write) = mpsc::channel(REPLIES);
    let (authenticated, is_authenticated) = oneshot::channel();
    let connection = Connection { replies, authenticated: Some(authenticated) };
    shard.send(TcpEvent::Opened { path, connection }).await?;
    let first_use = async {
        let authentication = timeout(shard.first_use, is_authenticated).await;
        drop(unauthenticated);
        match authentication {
            // Authenticated, or dropped by the shard: then it ends after its queued replies.
            Ok(_) => std::future::pending().await,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    };
    tokio::select! {
        result = read_datagrams(read, path, shard) => result,
        result = write_datagrams(write, to_write) => result,
        result = first_use => result,
    }
}

/// RFC 4571: two bytes of length, then the datagram.
async fn read_datagrams(read: OwnedReadHalf, path: Path, shard: &ToShard) -> io::Result<()> {
    let mut read = BufReader::new(read);
    loop {
        let length = match timeout(IDLE_TIMEOUT, read.read_u16()).await {
            Ok(Ok(length)) => usize::from(length),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        if length > MAX_DATAGRAM {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a datagram that is too large"));
        }
        let mut datagram = vec![0; length];
        timeout(IDLE_TIMEOUT, read.read_exact(&mut datagram)).await??;
        shard.send_datagram(path, datagram.into());
    }
}

async fn write_datagrams(mut write: OwnedWriteHalf, mut replies: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut frame = Vec::with_capacity(MAX_DATAGRAM + 2);
    while let Some(datagram) = replies.recv().await {
        let Ok(length) = u16::try_from(datagram.len()) else {
            debug_assert!(false, "a peer's datagrams are far smaller");
            continue;
        };
        frame.clear();
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&datagram);
        timeout(WRITE_TIMEOUT, write.write_all(&frame)).await??;
    }
    write.shutdown().await
}

#[cfg(test)]
mod tests {
    use nix::sys::eventfd::EventFd;

    use super::*;

    struct Listening {
        address: SocketAddr,
        shard: ToShard,
        events: mpsc::Receiver<TcpEvent>,
    }

    async fn listening(unauthenticated: usize, first_use: Duration, events: usize) -> Listening {
        let (sender, events) = mpsc::channel(events);
        let shard = ToShard {
            events: sender,
            wake: Arc::new(EventFd::new().unwrap()),
            dropped: Arc::default(),
            connections: Arc::new(Semaphore::new(8)),
            unauthenticated: Arc::new(Semaphore::new(unauthenticated)),
            first_use,
            tasks: TaskTracker::new(),
            cancelled: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(listen(listener, 3, shard.clone()));
        Listening { address, shard, events }
    }

    const LONG: Duration = Duration::from_secs(60);

    async fn opened(listening: &mut Listening) -> (Path, Connection) {
        match listening.events.recv().await.unwrap() {
            TcpEvent::Opened { path, connection } => (path, connection),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn datagrams_cross_the_stream_whole_in_both_directions() {
        let mut listening = listening(8, LONG, 16).await;
        let mut client = TcpStream::connect(listening.address).await.unwrap();
        let (path, connection) = opened(&mut listening).await;
        assert_eq!((path.local, path.remote.address), (3, client.local_addr().unwrap()));
        // Two frames in one segment and a third in two.
        client.write_all(&[0, 3, 1, 2, 3, 0, 0, 0, 2, 9]).await.unwrap();
        client.write_all(&[8]).await.unwrap();
        for expected in [&[1, 2, 3][..], &[], &[9, 8]] {
            let event = listening.events.recv().await.unwrap();
            let TcpEvent::Datagram { datagram, .. } = event else { panic!("{event:?}") };
            assert_eq!(&datagram[..], expected);
        }
        assert!(connection.send(Bytes::from_static(b"answer")));
        drop(connection);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"\0\x06answer");
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Closed { .. })));
    }

    #[tokio::test]
    async fn a_frame_larger_than_a_datagram_ends_the_connection() {
        let mut listening = listening(8, LONG, 16).await;
        let mut client = TcpStream::connect(listening.address).await.unwrap();
        let _connection = opened(&mut listening).await;
        client.write_all(&[0xFF, 0xFF]).await.unwrap();
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Closed { .. })));
    }

    #[tokio::test]
    async fn an_unauthenticated_connection_is_closed_and_an_authenticated_one_stays() {
        let mut listening = listening(1, Duration::from_millis(30), 16).await;
        let mut known = TcpStream::connect(listening.address).await.unwrap();
        let (_, mut connection) = opened(&mut listening).await;
        let mut refused = TcpStream::connect(listening.address).await.unwrap();
        assert_eq!(refused.read(&mut [0]).await.unwrap(), 0, "one unauthenticated connection at a time");
        connection.authenticate();
        while listening.shard.unauthenticated.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        let mut second = TcpStream::connect(listening.address).await.unwrap();
        let _second = opened(&mut listening).await;
        assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Closed { .. })));
        known.write_all(&[0, 1, 7]).await.unwrap();
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Datagram { .. })));
    }

    #[tokio::test]
    async fn datagrams_that_find_the_shards_queue_full_are_dropped_and_counted() {
        let mut listening = listening(8, LONG, 2).await;
        let mut client = TcpStream::connect(listening.address).await.unwrap();
        let _connection = opened(&mut listening).await;
        client.write_all(&[0, 1, 7].repeat(10)).await.unwrap();
        while listening.shard.dropped.load(Ordering::Relaxed) < 8 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..2 {
            assert!(matches!(listening.events.recv().await, Some(TcpEvent::Datagram { .. })));
        }
    }
}
