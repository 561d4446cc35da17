//! ICE-TCP (RFC 6544), passive: for clients whose network lets no UDP through. Rare, so tokio reads it and hands whole
//! datagrams (RFC 4571) to the shard.
//!
//! A shard that is behind loses datagrams and counts them, as a full UDP buffer would. A connection that no session
//! has authenticated within [`TcpLimits::first_use`] is closed, and only so many of that kind are kept.

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

/// A datagram of WebRTC that is larger is an error or an attack.
const MAX_DATAGRAM: usize = 2048;
/// Datagrams that wait for a slow connection; more are dropped.
const REPLIES: usize = 256;
/// A client that takes nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that sends nothing for this long is gone: its ICE checks come every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What ICE-TCP may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TcpLimits {
    /// Connections a shard.
    pub(crate) connections: usize,
    /// Of them such as no session has authenticated.
    pub(crate) strangers: usize,
    /// From the connection to its authentication.
    pub(crate) first_use: Duration,
}

/// What a connection tells the shard.
#[derive(Debug)]
pub(super) enum TcpEvent {
    Opened { path: Path, connection: Connection },
    Datagram { path: Path, arrival: Instant, datagram: Bytes },
    Closed { path: Path },
}

/// The shard's end of a connection. Dropping it closes the connection once its replies are written.
#[derive(Debug)]
pub(super) struct Connection {
    replies: mpsc::Sender<Bytes>,
    authenticated: Option<oneshot::Sender<()>>,
}

impl Connection {
    /// Sends a datagram, or drops it if the connection is behind; whether it was taken.
    pub(super) fn send(&self, datagram: Bytes) -> bool {
        self.replies.try_send(datagram).is_ok()
    }

    /// A session has authenticated it.
    pub(super) fn authenticate(&mut self) {
        if let Some(authenticated) = self.authenticated.take() {
            // The connection may just have ended.
            let _ = authenticated.send(());
        }
    }
}

/// The way to the shard, shared by its listeners and connections.
#[derive(Debug, Clone)]
pub(super) struct ToShard {
    pub(super) events: mpsc::Sender<TcpEvent>,
    pub(super) wake: Arc<EventFd>,
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) strangers: Arc<Semaphore>,
    pub(super) first_use: Duration,
    pub(super) tasks: TaskTracker,
    pub(super) cancelled: CancellationToken,
}

impl ToShard {
    async fn tell(&self, event: TcpEvent) -> io::Result<()> {
        self.events.send(event).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        wake(&self.wake);
        Ok(())
    }

    fn hand_over(&self, path: Path, datagram: Bytes) {
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
                    // Out of descriptors, usually: trying at once would spin.
                    warn!(%error, "an ICE-TCP connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    cancelled.run_until_cancelled(accept).await;
}

/// Serves a connection in a task of its own, or closes it if there are too many.
fn accept(stream: TcpStream, remote: SocketAddr, local: u16, shard: &ToShard) {
    let place = Arc::clone(&shard.connections).try_acquire_owned();
    let stranger = Arc::clone(&shard.strangers).try_acquire_owned();
    let (Ok(place), Ok(stranger)) = (place, stranger) else {
        debug!(%remote, "an ICE-TCP connection too many");
        return;
    };
    let path = Path { local, remote: Endpoint { protocol: Protocol::Tcp, address: remote } };
    let to_shard = shard.clone();
    shard.tasks.spawn(async move {
        let cancelled = to_shard.cancelled.clone();
        let served = cancelled.run_until_cancelled(serve(stream, path, &to_shard, stranger)).await;
        if let Some(Err(error)) = served {
            debug!(%remote, %error, "an ICE-TCP connection ended");
        }
        // A shard that is gone needs no goodbye.
        let _ = to_shard.tell(TcpEvent::Closed { path }).await;
        drop(place);
    });
}

async fn serve(
    stream: TcpStream,
    path: Path,
    shard: &ToShard,
    stranger: tokio::sync::OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (replies, to_write) = mpsc::channel(REPLIES);
    let (authenticated, is_authenticated) = oneshot::channel();
    let connection = Connection { replies, authenticated: Some(authenticated) };
    shard.tell(TcpEvent::Opened { path, connection }).await?;
    let known = async {
        let known = timeout(shard.first_use, is_authenticated).await;
        drop(stranger);
        match known {
            // Known, or let go by the shard: then it ends when its last replies are written.
            Ok(_) => std::future::pending().await,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    };
    tokio::select! {
        result = read_datagrams(read, path, shard) => result,
        result = write_datagrams(write, to_write) => result,
        result = known => result,
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
        shard.hand_over(path, datagram.into());
    }
}

async fn write_datagrams(mut write: OwnedWriteHalf, mut replies: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut frame = Vec::with_capacity(MAX_DATAGRAM + 2);
    while let Some(datagram) = replies.recv().await {
        let Ok(length) = u16::try_from(datagram.len()) else { continue };
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

    async fn listening(strangers: usize, first_use: Duration, events: usize) -> Listening {
        let (sender, events) = mpsc::channel(events);
        let shard = ToShard {
            events: sender,
            wake: Arc::new(EventFd::new().unwrap()),
            dropped: Arc::default(),
            connections: Arc::new(Semaphore::new(8)),
            strangers: Arc::new(Semaphore::new(strangers)),
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
        for wanted in [&[1, 2, 3][..], &[], &[9, 8]] {
            let event = listening.events.recv().await.unwrap();
            let TcpEvent::Datagram { datagram, .. } = event else { panic!("{event:?}") };
            assert_eq!(&datagram[..], wanted);
        }
        assert!(connection.send(Bytes::from_static(b"answer")));
        drop(connection);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"\0\x06answer");
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Closed { .. })));
    }

    #[tokio::test]
    async fn a_frame_that_is_no_datagram_ends_the_connection() {
        let mut listening = listening(8, LONG, 16).await;
        let mut client = TcpStream::connect(listening.address).await.unwrap();
        let _connection = opened(&mut listening).await;
        client.write_all(&[0xFF, 0xFF]).await.unwrap();
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Closed { .. })));
    }

    #[tokio::test]
    async fn a_stranger_is_let_go_and_an_authenticated_connection_stays() {
        let mut listening = listening(1, Duration::from_millis(30), 16).await;
        let mut known = TcpStream::connect(listening.address).await.unwrap();
        let (_, mut connection) = opened(&mut listening).await;
        let mut refused = TcpStream::connect(listening.address).await.unwrap();
        assert_eq!(refused.read(&mut [0]).await.unwrap(), 0, "one stranger at a time");
        connection.authenticate();
        while listening.shard.strangers.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        let mut stranger = TcpStream::connect(listening.address).await.unwrap();
        let _stranger = opened(&mut listening).await;
        assert_eq!(stranger.read(&mut [0]).await.unwrap(), 0);
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Closed { .. })));
        known.write_all(&[0, 1, 7]).await.unwrap();
        assert!(matches!(listening.events.recv().await, Some(TcpEvent::Datagram { .. })));
    }

    #[tokio::test]
    async fn a_shard_that_is_behind_loses_datagrams_and_they_are_counted() {
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
