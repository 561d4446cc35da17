//! Addresses to listen on.

use std::net::{SocketAddr, ToSocketAddrs as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address to listen on: `host:port`, or `:port` for every IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct Listen {
    text: String,
    address: SocketAddr,
}

impl Listen {
    pub(crate) fn loopback(port: u16) -> Self {
        Self { text: format!("localhost:{port}"), address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    /// Looks the host up.
    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| format!("{text:?} is no host:port to listen on{why}");
        let (host, port) = text.rsplit_once(':').ok_or_else(|| bad(""))?;
        let port: u16 = port.parse().map_err(|_| bad(""))?;
        let host = if host.is_empty() { "0.0.0.0" } else { host.trim_matches(['[', ']']) };
        let found: Vec<SocketAddr> =
            (host, port).to_socket_addrs().map_err(|error| bad(&format!(": {error}")))?.collect();
        // `localhost` often has ::1 first, which machines without IPv6 can't bind.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let address = *address.ok_or_else(|| bad(": the host has no address"))?;
        Ok(Self { text, address })
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.text
    }
}
