//! The recorder's own binary, started for one test on free ports and in a directory of its own.

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

/// How long a start may take, recovery of a crashed spool included.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// UDP ports a recorder is given: more than it has shards.
const UDP_PORTS: u16 = 8;

/// Starts with other ports, should another process have been quicker to take one of ours.
const START_TRIES: usize = 3;

/// Mounts small disks where nobody else sees them, then becomes the recorder. `$1` is their number; each has a directory
/// and a size; the rest is the recorder's command.
const ON_SMALL_DISKS: &str = r#"set -e
disks=$1; shift
while [ "$disks" -gt 0 ]; do
  mkdir -p "$1"
  mount -t tmpfs -o "size=$2" tmpfs "$1"
  shift 2; disks=$((disks - 1))
done
exec "$@""#;

/// Why no recorder runs.
#[derive(Debug, Error)]
pub enum RecorderError {
    /// No temporary directory, no free port, no process.
    #[error("the recorder can't be started: {0}")]
    Io(#[from] io::Error),
    /// It ended before it was ready.
    #[error("the recorder ended at its start ({status}):\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it wrote.
        log: String,
    },
    /// It runs but isn't ready.
    #[error("the recorder wasn't SERVING within {START_DEADLINE:?}:\n{log}")]
    NotServing {
        /// What it wrote.
        log: String,
    },
}

/// What a recorder is started with.
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

    /// Sets an environment variable, the usual names of the configuration.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Makes a directory below the data directory a disk of its own, of so many bytes, as long as the recorder runs.
    ///
    /// It is a tmpfs in a mount namespace of the recorder's, which needs no privileges where the kernel lets users have
    /// namespaces: so it is full as a disk is full (ENOSPC), for the recorder, its database and its children alike.
    /// [`Recorder::inside`] leads to it.
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

/// A running recorder, killed when dropped; its data directory goes with it. If its test has failed, its log is shown.
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

    /// A path below the data directory as the recorder sees it: on its own disks, if it has some.
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

    /// The object of a recording, once it has been uploaded, waited for up to `patience`.
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

    /// What it has logged since its last start.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// SIGTERM: the recorder seals what is live and ends. `None` if it hasn't ended after `patience`.
    ///
    /// # Errors
    /// The system's.
    pub async fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        self.process.terminate(patience).await
    }

    /// Starts it again on the same ports and the same data.
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
    // Bound once more: what has become root of a namespace is no longer bound.
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
    /// A block outside of what the system gives to sockets that don't ask for a port, so that no other socket of the
    /// test takes one between this probe and the recorder's start; another one for each call and, most likely,
    /// process.
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
