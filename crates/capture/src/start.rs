//! How capture starts. Every error of the configuration is found here.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::future::join_all;
use peer::{Candidate, Environment, PeerConfig, Protocol, TransportTimeouts};
use rtp::Encoding;
use socket2::{Domain, Socket, Type};
use spool::{Files, OpenFiles, Spool, Writers};
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::{
    CaptureConfig, ConfigError, Ledger, WebrtcConfig, metrics,
    node::Node,
    registry::Registry,
    session::finalizing::Finalizer,
    shard::{self, Shard, ShardConfig, TcpLimits},
};

/// An offer has a section per track, and sections of removed tracks stay in it (RFC 8829 §5.2.2).
const MAX_SECTIONS: usize = 64;
/// ICE-TCP connections per shard that no session has authenticated yet.
const TCP_UNAUTHENTICATED: usize = 256;
/// From an ICE-TCP connection to its authentication.
const TCP_FIRST_USE: Duration = Duration::from_secs(15);
/// Attempts to find a port that is free on all addresses, where any port will do.
const PORT_TRIES: usize = 32;

/// How long the start waits for the ledger to commit recordings of an earlier run.
const RECOVERY_COMMIT_DEADLINE: Duration = Duration::from_secs(5);

fn refuse(key: &'static str) -> impl Fn(String) -> ConfigError {
    move |problem| ConfigError { key, problem }
}

/// Starts everything.
pub(crate) async fn start(
    config: CaptureConfig,
    ledger: Arc<dyn Ledger>,
    files: Arc<dyn Files>,
) -> Result<Node, ConfigError> {
    metrics::describe();
    let codecs = encodings(&config.webrtc)?;
    let spool =
        Spool::open(&config.spool.directory).map_err(|error| refuse("spool.directory")(error.to_string()))?;
    let spool = Arc::new(spool);
    let sockets = bind_shards(&config.webrtc)?;
    let failed = refuse("webrtc");
    let environment = Arc::new(Environment::new().map_err(|error| failed(error.to_string()))?);
    let writers = Writers::start(config.spool.writers, config.spool.sync_interval.0)
        .map_err(|error| refuse("spool.writers")(error.to_string()))?;
    let registry = Arc::new(Registry::new(&config.limits));
    let (tasks, cancelled) = (TaskTracker::new(), CancellationToken::new());
    let finalizer = Arc::new(Finalizer {
        ledger: Arc::clone(&ledger),
        registry: Arc::clone(&registry),
        base_path: config.base_path.clone(),
        runtime: tokio::runtime::Handle::current(),
        tasks: TaskTracker::new(),
        cancelled: cancelled.clone(),
    });
    recover_spool(&spool, &config.base_path, &finalizer).await?;
    let mut shards: Vec<Shard> = Vec::with_capacity(sockets.len());
    for (number, sockets) in sockets.into_iter().enumerate() {
        let peer = PeerConfig {
            candidates: candidates(&config.webrtc, &sockets).map_err(|error| failed(error.to_string()))?,
            codecs: codecs.clone(),
            timeouts: TransportTimeouts {
                connect: config.webrtc.connect_timeout.0,
                disconnected: config.webrtc.ice_disconnected_timeout.0,
                failed: config.webrtc.ice_failed_timeout.0,
            },
            max_wait: media::RecorderConfig::default().max_wait,
            max_offer_bytes: config.limits.offer_bytes.as_usize(),
            max_sections: MAX_SECTIONS,
        };
        let shard = shard::spawn(ShardConfig {
            number,
            sockets,
            environment: Arc::clone(&environment),
            peer: Arc::new(peer),
            tick: config.webrtc.tick.0,
            tcp: TcpLimits {
                connections: config.limits.sessions.saturating_mul(2) + TCP_UNAUTHENTICATED,
                unauthenticated: TCP_UNAUTHENTICATED,
                first_use: TCP_FIRST_USE,
            },
            finalizer: Arc::clone(&finalizer),
            tasks: tasks.clone(),
            cancelled: cancelled.clone(),
        });
        shards.push(shard.map_err(|error| failed(format!("a shard can't be started: {error}")))?);
    }
    let media_addresses = shards.iter().flat_map(Shard::addresses).copied().collect();
    tasks.spawn(shard::kernel_drops::report(media_addresses, cancelled.clone()));
    let draining = AtomicBool::new(false);
    Ok(Node {
        config,
        ledger,
        registry,
        files,
        draining,
        open_files: OpenFiles::default(),
        finalizer,
        tasks,
        cancelled,
        shards,
        writers,
        spool,
    })
}

/// Finishes the files that an earlier run left, and waits some time for the ledger to commit them. If the ledger is away,
/// the commits continue in the background.
async fn recover_spool(
    spool: &Arc<Spool>,
    base_path: &str,
    finalizer: &Arc<Finalizer>,
) -> Result<(), ConfigError> {
    let failed = refuse("spool.directory");
    let (spool, base_path) = (Arc::clone(spool), base_path.to_owned());
    let finished = spawn_blocking(move || spool.recover(&base_path))
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    let commits: Vec<_> = finished
        .into_iter()
        .map(|(directory, recording)| finalizer.commit_recovered(directory, recording))
        .collect();
    if timeout(RECOVERY_COMMIT_DEADLINE, join_all(commits)).await.is_err() {
        warn!("recordings of the last run are not committed yet, the commits continue in the background");
    }
    Ok(())
}

/// A shard's sockets: for each address a UDP socket, and a TCP listener on the same port where ICE-TCP is offered.
type ShardSockets = Vec<(UdpSocket, Option<TcpListener>)>;

fn bind_shards(config: &WebrtcConfig) -> Result<Vec<ShardSockets>, ConfigError> {
    check_addresses(config)?;
    let count = config.shard_count();
    let ports = &config.udp_port_range.0;
    // Port 0 is any free port: for tests, and where no firewall needs the number.
    if *ports == (0..=0) {
        return (0..count).map(|_| bind_any(config)).collect();
    }
    if ports.len() < count {
        let problem = format!("{} ports for {count} shards", ports.len());
        return Err(refuse("webrtc.udp_port_range")(problem));
    }
    ports.clone().take(count).map(|port| bind_port(config, port)).collect()
}

fn encodings(config: &WebrtcConfig) -> Result<Vec<Encoding>, ConfigError> {
    if config.codecs.is_empty() {
        return Err(refuse("webrtc.codecs")("no codec is named".to_owned()));
    }
    Ok(config.codecs.iter().map(|codec| codec.0).collect())
}

fn check_addresses(config: &WebrtcConfig) -> Result<(), ConfigError> {
    let failed = refuse("webrtc.listen_ips");
    if config.listen_ips.is_empty() {
        return Err(failed("no address to listen on".to_owned()));
    }
    if config.listen_ips.iter().any(IpAddr::is_unspecified) && config.public_ips.is_empty() {
        let problem = "listening on every address needs webrtc.public_ips: answers must name one";
        return Err(failed(problem.to_owned()));
    }
    Ok(())
}

/// The same free port on all addresses.
fn bind_any(config: &WebrtcConfig) -> Result<ShardSockets, ConfigError> {
    let mut result = bind_port(config, 0);
    for _ in 0..PORT_TRIES {
        if result.is_ok() {
            break;
        }
        result = bind_port(config, 0);
    }
    result
}

fn bind_port(config: &WebrtcConfig, port: u16) -> Result<ShardSockets, ConfigError> {
    let mut port = port;
    let mut sockets = Vec::with_capacity(config.listen_ips.len());
    for &ip in &config.listen_ips {
        let failed = |protocol: &str, error: &io::Error| {
            let problem = format!("{protocol} {}: {error}", SocketAddr::new(ip, port));
            refuse("webrtc.udp_port_range")(problem)
        };
        let socket = shard::bind(SocketAddr::new(ip, port), config.receive_buffer.as_usize())
            .map_err(|error| failed("UDP", &error))?;
        let address = socket.local_addr().map_err(|error| failed("UDP", &error))?;
        let listener = config.ice_tcp.then(|| bind_tcp(address)).transpose();
        sockets.push((socket, listener.map_err(|error| failed("TCP", &error))?));
        port = address.port();
    }
    Ok(sockets)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Else lingering connections of the last run would block the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// The candidates in answers: the public addresses, else the listen addresses; UDP first.
fn candidates(config: &WebrtcConfig, sockets: &ShardSockets) -> io::Result<Vec<Candidate>> {
    let mut addresses = Vec::new();
    for (socket, _) in sockets {
        addresses.push(socket.local_addr()?);
    }
    if let (Some(port), false) = (addresses.first().map(SocketAddr::port), config.public_ips.is_empty()) {
        addresses = config.public_ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect();
    }
    let mut candidates = Vec::new();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        if protocol == Protocol::Udp || config.ice_tcp {
            candidates.extend(addresses.iter().map(|&address| Candidate { protocol, address }));
        }
    }
    Ok(candidates)
}
