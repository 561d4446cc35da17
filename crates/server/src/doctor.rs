//! `webrtc-recorder doctor`: checks what the server needs on this machine. It creates nothing.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    time::Duration,
};

use nix::{
    sys::statvfs::statvfs,
    unistd::{AccessFlags, access},
};
use tokio::time::timeout;

use crate::{
    backends::Database,
    config::{Config, StoreUrl},
    startup_log::openssl_fault,
};

/// How long the database and the object store may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub subject: &'static str,
    /// What is fine, or what is wrong and what to do about it.
    pub result: Result<String, String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.result {
            Ok(text) => ("ok", text),
            Err(text) => ("FAIL", text),
        };
        write!(formatter, "{word:<4}  {:<14}  {text}", self.subject)
    }
}

/// Checks libssl, directories, database, object store and ports, in this order. Each wait is bounded.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let running = is_running(&config.spool.directory);
    let finding = |subject, result| Finding { subject, result };
    let mut findings = vec![
        finding("libssl", openssl_fault().map_or_else(|| Ok(peer::openssl_version()), Err)),
        finding("data_dir", writable(&config.data_dir)),
        finding("spool", spool(config)),
        finding("database", database(config).await),
        finding("objects", objects(config).await),
        finding("grpc.listen", tcp_port(config.grpc.listen.address(), running)),
        finding("http.listen", tcp_port(config.http.listen.address(), running)),
    ];
    findings.push(finding("media ports", media_ports(config, running)));
    findings
}

/// A running recorder holds a lock on its spool, and its ports.
fn is_running(spool: &Path) -> bool {
    let lock = fs::File::open(spool.join(".lock"));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// Whether this user can write to the directory, or create it.
fn writable(directory: &Path) -> Result<String, String> {
    let existing = existing(directory);
    if !existing.is_dir() {
        return Err(format!("{} is not a directory", existing.display()));
    }
    access(existing, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| format!("{} can't be written by this user: {error}", existing.display()))?;
    let state = if existing == directory { "writable" } else { "will be created" };
    Ok(format!("{}: {state}", directory.display()))
}

/// The directory, or the nearest one above it that exists.
fn existing(directory: &Path) -> &Path {
    let mut existing = directory.ancestors().filter(|path| path.exists());
    existing.next().unwrap_or(Path::new("."))
}

fn spool(config: &Config) -> Result<String, String> {
    let directory = &config.spool.directory;
    let state = writable(directory)?;
    let disk = statvfs(existing(directory)).map_err(|error| format!("{}: {error}", directory.display()))?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    let least = config.limits.min_free_bytes.0;
    if free < least {
        return Err(format!(
            "{}: {free} bytes are free; new sessions are refused below limits.min_free_bytes = {least}",
            directory.display()
        ));
    }
    Ok(format!("{state}, {} MiB free", free >> 20))
}

async fn database(config: &Config) -> Result<String, String> {
    let url = config.store.url.redacted();
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        let directory = path.parent().unwrap_or(Path::new("."));
        return writable(directory).map(|_| format!("{url}: will be created"));
    }
    let look = async {
        let database = Database::open(config).await.map_err(|error| error.to_string())?;
        let pending = database.pending().await.map_err(|error| format!("{url}: {error}"));
        database.close().await;
        pending
    };
    let pending = timeout(ANSWER_WITHIN, look).await.map_err(|_| format!("{url}: no answer in time"))??;
    match (pending.len(), &config.store.url) {
        (0, _) => Ok(url),
        (count, StoreUrl::Postgres(_)) if !config.store.auto_migrate => {
            Err(format!("{url}: {count} migrations are pending: run `webrtc-recorder migrate`"))
        }
        (count, _) => Ok(format!("{url}: {count} migrations will be applied at the start")),
    }
}

async fn objects(config: &Config) -> Result<String, String> {
    let name = match (config.blob.s3.bucket.as_str(), &config.blob.s3.endpoint) {
        ("", _) => return writable(&config.blob.local.directory),
        (bucket, Some(endpoint)) => format!("bucket {bucket} at {endpoint}"),
        (bucket, None) => format!("bucket {bucket}"),
    };
    let ask = async {
        config
            .blob
            .open()
            .await
            .map_err(|error| error.to_string())?
            .ping()
            .await
            .map_err(|error| error.to_string())
    };
    match timeout(ANSWER_WITHIN, ask).await {
        Ok(Ok(())) => Ok(name),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name}: no answer in time")),
    }
}

fn tcp_port(address: SocketAddr, running: bool) -> Result<String, String> {
    port("TCP", address, TcpListener::bind(address).map(drop), running)
}

/// `running` excuses a port that is in use.
fn port(protocol: &str, address: SocketAddr, bound: io::Result<()>, running: bool) -> Result<String, String> {
    match bound {
        Ok(()) => Ok(format!("{protocol} {address} is free")),
        Err(error) if running && error.kind() == io::ErrorKind::AddrInUse => {
            Ok(format!("{protocol} {address} is in use; a recorder with this spool is running"))
        }
        Err(error) => Err(format!("{protocol} {address}: {error}")),
    }
}

/// One port for each shard, on each address: the ports that capture binds at the start.
fn media_ports(config: &Config, running: bool) -> Result<String, String> {
    let webrtc = config
        .capture(model::NodeId::default())
        .map_err(|error| format!("the addresses of the machine's interfaces: {error}"))?
        .webrtc;
    let (ports, shards) = (&webrtc.udp_port_range.0, webrtc.shard_count());
    let mut last = String::new();
    for number in ports.clone().take(shards) {
        for &ip in &webrtc.listen_ips {
            let address = SocketAddr::new(ip, number);
            last = port("UDP", address, UdpSocket::bind(address).map(drop), running)?;
            if webrtc.ice_tcp {
                tcp_port(address, running)?;
            }
        }
    }
    if *ports != (0..=0) && ports.len() < shards {
        return Err(format!("webrtc.udp_port_range has {} ports for {shards} shards", ports.len()));
    }
    match (webrtc.listen_ips.len(), shards) {
        (0, _) => Err("webrtc.listen_ips: no address to listen on".to_owned()),
        (1, 1) => Ok(last),
        (addresses, _) => Ok(format!("{shards} shards on {addresses} addresses: {last}, as are the others")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Flag, Sources};

    fn config(directory: &Path, settings: &[(&str, &str)]) -> Config {
        let common = [
            ("data_dir", directory.to_str().unwrap()),
            ("grpc.listen", "127.0.0.1:0"),
            ("http.listen", "127.0.0.1:0"),
            ("webrtc.udp_port_range", "0"),
            ("webrtc.listen_ips", "127.0.0.1"),
            ("limits.min_free_bytes", "0"),
        ];
        let flag = |(key, value): &(&str, &str)| Flag {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let flags = common.iter().chain(settings).map(flag).collect();
        Config::load(&Sources { file: None, environment: BTreeMap::new(), flags }).unwrap()
    }

    fn failures(findings: &[Finding]) -> Vec<&'static str> {
        let failed = findings.iter().filter(|finding| finding.result.is_err());
        // The libssl of the machine that runs the tests is not theirs to judge.
        failed.map(|finding| finding.subject).filter(|subject| *subject != "libssl").collect()
    }

    #[tokio::test]
    async fn a_new_machine_passes_and_nothing_is_created() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let findings = examine(&config(&data, &[])).await;
        assert!(failures(&findings).is_empty(), "{findings:#?}");
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn each_fault_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().to_string();
        fs::write(directory.path().join("file"), "").unwrap();
        let file = directory.path().join("file").to_str().unwrap().to_owned();
        for (key, value, subject) in [
            ("grpc.listen", taken.as_str(), "grpc.listen"),
            ("http.listen", taken.as_str(), "http.listen"),
            ("spool.directory", file.as_str(), "spool"),
            ("limits.min_free_bytes", "1000000TB", "spool"),
            ("blob.local.directory", file.as_str(), "objects"),
            ("store.url", "postgres://nobody@127.0.0.1:1/none", "database"),
        ] {
            let findings = examine(&config(directory.path(), &[(key, value)])).await;
            assert_eq!(failures(&findings), [subject], "{findings:#?}");
        }
    }

    #[test]
    fn a_port_that_the_running_recorder_uses_is_no_fault() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(tcp_port(address, false).is_err());
        assert!(tcp_port(address, true).is_ok());
    }
}
