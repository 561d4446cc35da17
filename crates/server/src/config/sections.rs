//! The sections that the service itself uses.

use std::path::PathBuf;

use model::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration};

use super::{Listen, StoreUrl, Token};

/// This node of a cluster: the section `node`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Node {
    /// Id of this node, different from that of every other node on the same database.
    #[schemars(
        with = "Option<String>",
        extend("env" = "ID", "default_text" = "made at the first start, kept in `<data_dir>/node-id`")
    )]
    pub id: Option<NodeId>,
    /// Address at which other nodes reach this node's gRPC: `host` or `host:port`.
    #[schemars(extend("env" = "PROXY_GRPC_HOST", "default_text" = "the listen address, or the machine's first address"))]
    pub advertise: Option<String>,
    /// Interval of the node's heartbeat in the database. After three intervals without one, no call is forwarded to the node.
    pub heartbeat: Duration,
    /// Time without a heartbeat after which the node is lost. Another node then completes its uploads with the parts that
    /// were uploaded, and notes what is missing; recordings without any uploaded part are parked. If the node returns, its
    /// files replace those. `0`: never.
    pub lost_after: Duration,
}

impl Default for Node {
    fn default() -> Self {
        let (heartbeat, lost_after) = (Duration::from_secs(5), Duration::from_secs(6 * 3600));
        Self { id: None, advertise: None, heartbeat, lost_after }
    }
}

impl Node {
    /// A node that missed this many heartbeats is not called any more.
    const MISSED_HEARTBEATS: u32 = 3;

    /// No call is forwarded to a node whose last heartbeat is older.
    pub(crate) fn silent_after(&self) -> std::time::Duration {
        self.heartbeat.0.saturating_mul(Self::MISSED_HEARTBEATS)
    }
}

/// The end of the process: the section `shutdown`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Shutdown {
    /// Time in which live sessions are finalized at shutdown. Others are finalized at the next start.
    pub timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60) }
    }
}

/// The gRPC port: the section `grpc`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Grpc {
    /// Address that gRPC listens on, `host:port`. `:port`: every IPv4 address.
    #[schemars(extend("env" = "BIND_ADDRESS"))]
    pub listen: Listen,
    /// Largest message that is read.
    pub max_message_bytes: ByteSize,
}

impl Default for Grpc {
    fn default() -> Self {
        Self { listen: Listen::loopback(50011), max_message_bytes: ByteSize(4 << 20) }
    }
}

/// The HTTP port: the section `http`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Http {
    /// Address that HTTP listens on: JSON calls, and metrics and probes, which need no token.
    pub listen: Listen,
    /// Web origins whose pages may call (JSON and gRPC-web). `*`: all.
    pub cors_origins: Vec<String>,
    /// URL of the HTTP port for callers, such as `https://recorder.example`. Download links of the local object directory
    /// begin with it.
    #[schemars(extend("default_text" = "made of the listen address"))]
    pub public_url: Option<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: Listen::loopback(8080), cors_origins: Vec::new(), public_url: None }
    }
}

/// The database: the section `store`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StoreConfig {
    /// Database: `postgres://user:password@host/database`, or the path of an SQLite file.
    #[schemars(extend("env" = "DATA_SOURCE", "default_text" = "`<data_dir>/recorder.db`"))]
    pub url: StoreUrl,
    /// Most connections to Postgres, 1 to 10,000.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: u32,
    /// Update the schema at start. If false, a start with an older schema on Postgres is refused. SQLite is always updated.
    pub auto_migrate: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: StoreUrl::Sqlite(PathBuf::from("recorder.db")), max_connections: 16, auto_migrate: true }
    }
}

/// Who may call: the section `auth`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Auth {
    /// Tokens of callers, each `{ tenant = "…", role = "viewer|recorder|admin", sha256 = "…", name = "…" }`. `sha256` is the
    /// output of `printf %s "$TOKEN" | sha256sum`. Without any, everyone who reaches the port may call.
    #[schemars(extend("writeOnly" = true))]
    pub tokens: Vec<Token>,
}

/// Encryption of both ports: the section `tls`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tls {
    /// Certificate chain of both ports, PEM file.
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate, PEM file.
    pub key: Option<PathBuf>,
    /// Authority of client certificates, PEM file. Clients need a certificate of it. Certificates of other nodes are checked
    /// against it too.
    pub client_ca: Option<PathBuf>,
}

/// The log: the section `log`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// Least level that is logged: trace, debug, info, warn, error. `RUST_LOG` overrides it.
    #[schemars(extend("env" = "LOG_LVL"))]
    pub level: Level,
    /// Log each line as a JSON object.
    #[schemars(extend("env" = "LOG_JSON"))]
    pub json: bool,
    /// File to append to instead of standard error.
    #[schemars(extend("env" = "LOG_FILE"))]
    pub file: Option<PathBuf>,
}

/// A level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct Level(pub tracing::Level);

impl Default for Level {
    fn default() -> Self {
        Self(tracing::Level::INFO)
    }
}

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(tracing::Level::TRACE),
            "debug" => Ok(tracing::Level::DEBUG),
            "info" => Ok(tracing::Level::INFO),
            "warn" | "warning" => Ok(tracing::Level::WARN),
            "error" | "critical" | "fatal" => Ok(tracing::Level::ERROR),
            _ => Err(format!("{text:?} is none of trace, debug, info, warn, error")),
        }
        .map(Self)
    }
}

impl From<Level> for String {
    fn from(Level(level): Level) -> Self {
        level.to_string().to_ascii_lowercase()
    }
}

/// Traces: the section `otel`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Otel {
    /// URL that traces are sent to, OTLP over gRPC.
    #[schemars(extend("env" = "OTEL_EXPORTER_OTLP_ENDPOINT"))]
    pub endpoint: Option<String>,
    /// Name of this service in traces.
    #[schemars(extend("env" = "OTEL_SERVICE_NAME"))]
    pub service_name: String,
}

impl Default for Otel {
    fn default() -> Self {
        Self { endpoint: None, service_name: "webrtc_recorder".to_owned() }
    }
}

/// Service discovery: the section `consul`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Consul {
    /// Address of the Consul agent. No effect; accepted for older deployments. This version does not register.
    #[schemars(extend("env" = "CONSUL"))]
    pub address: Option<String>,
}
