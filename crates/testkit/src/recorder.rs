//! Runs the recorder's binary for one test, on free ports and in its own directory.

use std::{
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use proto::webrtc_recorder::web_rtc_service_client::WebRtcServiceClient;
use tempfile::TempDir;
use thiserror::Error;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::process::{Process, bound_command};

/// The client of the service that records.
pub type Client = WebRtcServiceClient<Channel>;

/// The longest that a start may take, including the recovery of a crashed spool.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// UDP ports of one recorder. It has fewer shards.
const UDP_PORTS: u16 = 8;

/// Attempts with other ports if another process has taken one of them.
const START_TRIES: usize = 3;

/// Mounts small disks in a mount namespace of its own, then executes the recorder. `$1` is their number, followed by a
/// directory and a size for each, and by the recorder's command.
const ON_SMALL_DISKS: &str = r#"set -e
disks=$1; shift
while [ "$disks" -gt 0 ]; do
  mkdir -p "$1"
  mount -t tmpfs -o "size=$2" tmpfs "$1"
  shift 2; disks=$((disks - 1))
done
exec "$@""#;

/// Why a recorder did not start.
#[derive(Debug, Error)]
pub enum RecorderError {
    /// No temporary directory, no free port, no process.
    #[error("the recorder can't be started: {0}")]
    Io(#[from] io::Error),
    /// It ended before it was ready.
    #[error("the recorder ended at its start ({status}):\n{log}")]
    Ended {
        /// Its exit status.
        status: ExitStatus,
        /// Its log.
        log: String,
    },
    /// It runs but isn't ready.
    #[error("the recorder wasn't SERVING within {START_DEADLINE:?}:\n{log}")]
    NotServing {
        /// Its log.
        log: String,
    },
}

/// How a recorder is started.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    binary: PathBuf,
    environment: Vec<(String, OsString)>,
    disks: Vec<(&'static str, u64)>,
}

impl RecorderConfig {
    /// The embedded default of `binary`: SQLite and a local object directory, on loopback.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), environment: Vec::new(), disks: Vec::new() }
    }

    /// Sets an environment variable, such as a key of the configuration.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Mounts a disk of `bytes` on a directory below the data directory while the recorder runs.
    ///
    /// The disk is a tmpfs in the recorder's own mount namespace. When it is full, the recorder, its database and its
    /// children get ENOSPC. It needs no privileges if the kernel lets users create namespaces. [`Recorder::inside`]
    /// gives its path.
    #[must_use]
    pub fn disk(mut self, directory: &'static str, bytes: u64) -> Self {
        self.disks.push((directory, bytes));
        self
    }

    /// Starts it in a new data directory, and waits until it is ready.
    ///
    /// # Errors
    /// See [`RecorderError`].
    pub async fn start(self) -> Result<Recorder, RecorderError> {
        let mut tries = START_TRIES;
        loop {
            let data_dir = TempDir::with_prefix("recorder-")?;
            let ports = Ports::free()?;
            let process = spawn(&self, data_dir.path(), &ports)?;
            let mut recorder = Recorder { config: self.clone(), data_dir, ports, process };
            tries -= 1;
            match recorder.wait_until_serving().await {
                Err(RecorderError::Ended { log, .. })
                    if tries > 0 && log.contains("Address already in use") => {}
                result => return result.map(|()| recorder),
            }
        }
    }
}

/// A running recorder. Dropping it kills it, removes its data directory, and prints its log if the test has failed.
pub struct Recorder {
    config: RecorderConfig,
    data_dir: TempDir,
    ports: Ports,
    process: Process,
}

impl Recorder {
    /// A client of its gRPC port.
    ///
    /// # Panics
    /// Never: the address is well formed and the connection is made at the first call.
    #[must_use]
    pub fn client(&self) -> Client {
        WebRtcServiceClient::new(self.channel())
    }

    /// A channel to its gRPC port, for clients of other services.
    ///
    /// # Panics
    /// Never, as above.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.ports.grpc)).expect("a socket address is a URI");
        endpoint.connect_lazy()
    }

    /// Where gRPC listens.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.ports.grpc
    }

    /// Where HTTP listens.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.ports.http
    }

    /// The first UDP port, that of the first shard.
    #[must_use]
    pub fn first_udp_port(&self) -> u16 {
        self.ports.udp.0
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `--data-dir`.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// A path below the data directory as the recorder sees it, that is, on its own disks if it has any.
    #[must_use]
    pub fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let seen = self.data_dir().join(path);
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        root.join(seen.strip_prefix("/").unwrap_or(&seen))
    }

    /// Every file in the local object directory.
    #[must_use]
    pub fn objects(&self) -> Vec<PathBuf> {
        files_below(&self.data_dir().join("objects"))
    }

    /// The object of a recording. Waits up to `patience` for its upload.
    pub async fn object_of(&self, id: &str, patience: Duration) -> Option<PathBuf> {
        let deadline = Instant::now() + patience;
        loop {
            let named = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == id);
            if let Some(found) = self.objects().into_iter().find(named) {
                return Some(found);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its log since its last start.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Sends SIGKILL: it flushes nothing and closes no session.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM: the recorder finalizes live sessions and exits. `None` if it still runs after `patience`.
    ///
    /// # Errors
    /// The system's.
    pub async fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        self.process.terminate(patience).await
    }

    /// Starts it again on the same ports and data.
    ///
    /// # Errors
    /// See [`RecorderError`].
    pub async fn restart(&mut self) -> Result<(), RecorderError> {
        self.process.kill();
        self.process = spawn(&self.config, self.data_dir.path(), &self.ports)?;
        self.wait_until_serving().await
    }

    async fn wait_until_serving(&mut self) -> Result<(), RecorderError> {
        let deadline = Instant::now() + START_DEADLINE;
        let mut health = HealthClient::new(self.channel());
        while Instant::now() < deadline {
            if let Some(status) = self.process.exited()? {
                return Err(RecorderError::Ended { status, log: self.log() });
            }
            let check = health.check(HealthCheckRequest { service: String::new() });
            let answer = tokio::time::timeout(Duration::from_secs(1), check).await;
            if answer.is_ok_and(|answer| {
                answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
            }) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(RecorderError::NotServing { log: self.log() })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the recorder's log ---\n{}---", self.log());
        }
    }
}

fn spawn(config: &RecorderConfig, data_dir: &Path, ports: &Ports) -> io::Result<Process> {
    let mut command = match config.disks.as_slice() {
        [] => bound_command(&config.binary),
        disks => on_small_disks(&config.binary, data_dir, disks),
    };
    command
        .arg("server")
        .env("RECORDER__GRPC__LISTEN", ports.grpc.to_string())
        .env("RECORDER__HTTP__LISTEN", ports.http.to_string())
        .env("RECORDER__DATA_DIR", data_dir)
        .env("WEBRTC_UDP_PORT_RANGE", format!("{}-{}", ports.udp.0, ports.udp.1))
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Process::start(command)
}

fn on_small_disks(binary: &Path, data_dir: &Path, disks: &[(&'static str, u64)]) -> Command {
    let mut command = bound_command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", ON_SMALL_DISKS, "sh"]);
    command.arg(disks.len().to_string());
    for (directory, bytes) in disks {
        command.arg(data_dir.join(directory)).arg(bytes.to_string());
    }
    // Bound again: becoming root of a namespace clears the parent-death signal.
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(binary);
    command
}

/// Where a recorder listens.
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
    udp: (u16, u16),
}

impl Ports {
    /// A block below the system's ephemeral ports, so that no other socket of the test takes one of them between this
    /// probe and the recorder's start. Each call gets another block, and most likely each process.
    fn free() -> io::Result<Self> {
        const FIRST: u16 = 20_000;
        const BLOCK: u16 = UDP_PORTS + 2;
        const BLOCKS: u16 = 1_200;
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let start = (std::process::id() * 31) as u16 % BLOCKS;
        for _ in 0..BLOCKS {
            let block = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
            let first = FIRST + block * BLOCK;
            let is_free = |port| {
                let address = (Ipv4Addr::UNSPECIFIED, port);
                UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
            };
            if (first..first + BLOCK).all(is_free) {
                let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let [grpc, http] = [first + UDP_PORTS, first + UDP_PORTS + 1].map(loopback);
                return Ok(Self { grpc, http, udp: (first, first + UDP_PORTS - 1) });
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { files_below(&path) } else { vec![path] }
        })
        .collect()
}
