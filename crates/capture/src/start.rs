//! How capture starts: everything that can be wrong with the configuration is found here.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::future::join_all;
use peer::{Candidate, Environment, PeerConfig, Protocol, TransportTimeouts};
use socket2::{Domain, Socket, Type};
use spool::{Files, OpenFiles, Spool, Writers};
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::{
    CaptureConfig, ConfigError, Ledger, WebrtcConfig,
    capture::Node,
    codecs, metrics,
    registry::Registry,
    session::finalizing::Sealer,
    shard::{self, Shard, ShardConfig, TcpLimits},
};

/// Offers have a section a track, and those of tracks that were removed stay in them (RFC 8829 §5.2.2).
const MAX_SECTIONS: usize = 64;
/// ICE-TCP connections a shard that nobody has authenticated yet.
const TCP_STRANGERS: usize = 256;
/// From an ICE-TCP connection to its authentication.
const TCP_FIRST_USE: Duration = Duration::from_secs(15);
/// Tries to find a port that is free on all addresses, where any will do.
const PORT_TRIES: usize = 32;

/// How long the start waits for the ledger to take what an earlier run left.
const LEDGER_PATIENCE: Duration = Duration::from_secs(5);

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
    let preferences = codecs::preferences(&config.webrtc.codecs)?;
    let spool =
        Spool::open(&config.spool.directory).map_err(|error| refuse("spool.directory")(error.to_string()))?;
    let spool = Arc::new(spool);
    let sockets = bind_shards(&config.webrtc)?;
    let failed = refuse("webrtc");
    let environment = Arc::new(Environment::new().map_err(|error| failed(error.to_string()))?);
    let writers = Writers::start(config.spool.writers, config.spool.sync_interval)
        .map_err(|error| refuse("spool.writers")(error.to_string()))?;
    let registry = Arc::new(Registry::new(&config.limits));
    let (tasks, cancelled) = (TaskTracker::new(), CancellationToken::new());
    let sealer = Arc::new(Sealer {
        ledger: Arc::clone(&ledger),
        registry: Arc::clone(&registry),
        base_path: config.base_path.clone(),
        runtime: tokio::runtime::Handle::current(),
        tasks: TaskTracker::new(),
        cancelled: cancelled.clone(),
    });
    recover_spool(&spool, &config.base_path, &sealer).await?;
    let mut shards: Vec<Shard> = Vec::with_capacity(sockets.len());
    for (number, sockets) in sockets.into_iter().enumerate() {
        let peer = PeerConfig {
            candidates: candidates(&config.webrtc, &sockets).map_err(|error| failed(error.to_string()))?,
            codecs: preferences.clone(),
            timeouts: TransportTimeouts {
                connect: config.webrtc.connect_timeout,
                disconnected: config.webrtc.disconnected_timeout,
                failed: config.webrtc.failed_timeout,
            },
            max_wait: media::RecorderConfig::default().max_wait,
            max_offer_bytes: config.limits.offer_bytes,
            max_sections: MAX_SECTIONS,
        };
        let shard = shard::spawn(ShardConfig {
            number,
            sockets,
            environment: Arc::clone(&environment),
            peer: Arc::new(peer),
            tick: config.webrtc.tick,
            tcp: TcpLimits {
                connections: config.limits.sessions.saturating_mul(2) + TCP_STRANGERS,
                strangers: TCP_STRANGERS,
                first_use: TCP_FIRST_USE,
            },
            sealer: Arc::clone(&sealer),
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
        growing: OpenFiles::default(),
        sealer,
        tasks,
        cancelled,
        shards,
        writers,
        spool,
    })
}

/// Seals on disk what an earlier run left, and gives the ledger some time to take it; if it is away, that goes on in the
/// background.
async fn recover_spool(spool: &Arc<Spool>, base_path: &str, sealer: &Arc<Sealer>) -> Result<(), ConfigError> {
    let failed = refuse("spool.directory");
    let (spool, base_path) = (Arc::clone(spool), base_path.to_owned());
    let sealed = spawn_blocking(move || spool.recover(&base_path))
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    let commits: Vec<_> = sealed
        .into_iter()
        .map(|(directory, recording)| sealer.commit_recovered(directory, recording))
        .collect();
    if timeout(LEDGER_PATIENCE, join_all(commits)).await.is_err() {
        warn!("the ledger did not take all recordings of the last run yet, this goes on in the background");
    }
    Ok(())
}

/// A shard's sockets: for each address UDP, and TCP on the same port where ICE-TCP is offered.
type ShardSockets = Vec<(UdpSocket, Option<TcpListener>)>;

fn bind_shards(config: &WebrtcConfig) -> Result<Vec<ShardSockets>, ConfigError> {
    check_addresses(config)?;
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = config.shards.unwrap_or_else(cores).max(1);
    // Port 0 is any port that is free: for tests, and where no firewall has to know.
    if config.port_range == (0..=0) {
        return (0..count).map(|_| bind_any(config)).collect();
    }
    if config.port_range.len() < count {
        let problem = format!("{} ports for {count} shards", config.port_range.len());
        return Err(refuse("webrtc.port_range")(problem));
    }
    config.port_range.clone().take(count).map(|port| bind_port(config, port)).collect()
}

fn check_addresses(config: &WebrtcConfig) -> Result<(), ConfigError> {
    let failed = refuse("webrtc.listen_ips");
    if config.listen_ips.is_empty() {
        return Err(failed("no address to listen on".to_owned()));
    }
    if config.listen_ips.iter().any(IpAddr::is_unspecified) && config.public_ips.is_empty() {
        let problem = "listening on every address needs webrtc.public_ips: clients must be told one";
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
            refuse("webrtc.port_range")(problem)
        };
        let socket = shard::bind(SocketAddr::new(ip, port), config.receive_buffer)
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
    // Else connections of the last run that linger would keep the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// What clients are told: the public addresses, else those that we listen on; UDP first.
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
