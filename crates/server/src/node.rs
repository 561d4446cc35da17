//! This node's identity in the cluster: its id, its address, its heartbeat.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use model::NodeId;
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, outer_address},
    private_file,
    readiness::{Readiness, State},
};

/// The configured id, else the one in the data directory, which the first start generates. The id must outlive the
/// process, because recordings in the spool belong to the node that wrote them.
pub(crate) fn id(config: &Config) -> io::Result<NodeId> {
    if let Some(id) = &config.node.id {
        return Ok(id.clone());
    }
    let path = config.data_dir.join("node-id");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|error: model::InvalidId| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => generate_id(&path),
        Err(error) => Err(error),
    }
}

fn generate_id(path: &Path) -> io::Result<NodeId> {
    let id = format!("node-{:08x}", rand::random::<u32>());
    private_file::write_line(path, &id)?;
    id.parse().map_err(|error: model::InvalidId| io::Error::other(error.to_string()))
}

/// The gRPC address for other nodes.
pub(crate) fn advertised(config: &Config, bound: SocketAddr) -> String {
    let port = bound.port();
    match &config.node.advertise {
        Some(host) if host.parse::<SocketAddr>().is_ok() => host.clone(),
        Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{host}]:{port}"),
        Some(host) if host.contains(':') => host.clone(),
        Some(host) => format!("{host}:{port}"),
        None if bound.ip().is_unspecified() => {
            SocketAddr::new(outer_address().unwrap_or(bound.ip()), port).to_string()
        }
        None => bound.to_string(),
    }
}

/// Scheme, host and port of download links to this node.
pub(crate) fn public_url(config: &Config, bound: SocketAddr) -> String {
    if let Some(url) = &config.http.public_url {
        return url.clone();
    }
    let scheme = if config.tls.certificate.is_some() { "https" } else { "http" };
    let ip = if bound.ip().is_unspecified() { outer_address().unwrap_or(bound.ip()) } else { bound.ip() };
    format!("{scheme}://{}", SocketAddr::new(ip, bound.port()))
}

/// Writes the node's heartbeat to the database.
#[derive(Clone)]
pub(crate) struct Heartbeat {
    pub(crate) id: NodeId,
    pub(crate) address: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) readiness: Readiness,
    pub(crate) interval: Duration,
}

impl Heartbeat {
    /// Writes one heartbeat.
    pub(crate) async fn beat(&self) {
        let draining = self.readiness.state() == State::Draining;
        let beat = self.store.heartbeat(&self.id, &self.address, draining);
        match tokio::time::timeout(self.interval, beat).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "heartbeat failed"),
            Err(_) => tracing::debug!("heartbeat failed: the database did not answer in time"),
        }
    }

    /// Writes a heartbeat every interval until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            self.beat().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Flag, Sources};

    fn config(settings: &[(&str, &str)]) -> Config {
        let flag = |(key, value): &(&str, &str)| Flag {
            flag: "--set".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let flags = settings.iter().map(flag).collect();
        Config::load(&Sources { file: None, environment: BTreeMap::new(), flags }).unwrap()
    }

    #[test]
    fn a_node_without_a_configured_id_generates_one_and_reuses_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&[("data_dir", directory.path().to_str().unwrap())]);
        let generated = id(&config).unwrap();
        assert_eq!(id(&config).unwrap(), generated);
        std::fs::write(directory.path().join("node-id"), "../other").unwrap();
        assert_eq!(id(&config).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_advertised_address_is_the_configured_host_with_the_bound_port() {
        for (advertise, bound, want) in [
            ("10.0.0.7", "0.0.0.0:50011", "10.0.0.7:50011"),
            ("10.0.0.7:443", "0.0.0.0:50011", "10.0.0.7:443"),
            ("recorder-1.example", "0.0.0.0:50011", "recorder-1.example:50011"),
            ("recorder-1.example:443", "0.0.0.0:50011", "recorder-1.example:443"),
            ("fd00::7", "[::]:50011", "[fd00::7]:50011"),
            ("[fd00::7]:443", "[::]:50011", "[fd00::7]:443"),
            ("", "127.0.0.1:50011", "127.0.0.1:50011"),
        ] {
            let config = config(&[("data_dir", "/data"), ("node.advertise", advertise)]);
            assert_eq!(advertised(&config, bound.parse().unwrap()), want, "{advertise:?}");
        }
    }

    #[test]
    fn a_node_that_listens_on_every_address_advertises_a_specific_one() {
        let address = advertised(&config(&[("data_dir", "/data")]), "0.0.0.0:50011".parse().unwrap());
        assert!(address.ends_with(":50011"), "{address}");
    }
}
