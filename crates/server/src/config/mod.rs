//! Configuration: defaults, then one TOML file, then the environment, then flags; every value checked and its
//! origin known. Reading it binds nothing.

mod convert;
mod directories;
mod duration;
mod interfaces;
mod keys;
mod load;
mod print;
mod raw;
mod reference;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod token;
mod wanted;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use capture::{Limits, SpoolConfig, WebrtcConfig};
use model::NodeId;

pub use convert::BlobConfig;
pub(crate) use interfaces::outer_address;
pub use load::{ConfigErrors, Flag, Origin, Problem, Sources};
pub use reference::reference;
pub use secret::{Secret, StoreUrl};
pub use settings::{ByteSize, Codec, GoDuration, Level, Listen, PortRange};
pub use token::{Role, Token};
pub use wanted::{DefaultRendition, Retention};

/// The merged, checked configuration. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Holds the database, the spool and the objects unless these are placed elsewhere.
    pub data_dir: PathBuf,
    /// Whether to listen beyond loopback without authentication.
    pub insecure: bool,
    /// The gRPC port.
    pub grpc: Grpc,
    /// The HTTP port.
    pub http: Http,
    /// This node among others.
    pub node: Node,
    /// The media port.
    pub webrtc: Webrtc,
    /// What is allowed.
    pub limits: Limit,
    /// Files being written.
    pub spool: Spool,
    /// The database.
    pub store: Store,
    /// Where recordings end up.
    pub blob: Blob,
    /// Work on finished recordings.
    pub jobs: Jobs,
    /// What is made of every recording.
    pub renditions: Vec<DefaultRendition>,
    /// Renditions that are made while recordings go on.
    pub segments: Segments,
    /// What is deleted with age.
    pub retention: Vec<Retention>,
    /// Who may call.
    pub auth: Auth,
    /// Encryption of both ports.
    pub tls: Tls,
    /// The log.
    pub log: Log,
    /// Traces.
    pub otel: Otel,
    /// The end.
    pub shutdown: Shutdown,
    /// Service discovery.
    pub consul: Consul,
    origins: BTreeMap<&'static str, Origin>,
}

/// The gRPC port.
#[derive(Debug, Clone)]
pub struct Grpc {
    /// Where it listens.
    pub listen: Listen,
    /// The largest message that is read.
    pub max_message_bytes: ByteSize,
}

/// The HTTP port.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where it listens.
    pub listen: Listen,
    /// Web origins that may call; none: no browser page of another origin may.
    pub cors_origins: Vec<String>,
    /// How callers reach this port: scheme, host and port; none: made of the listen address.
    pub public_url: Option<String>,
}

/// This node among others.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its id; none: made at the first start and kept in the data directory.
    pub id: Option<NodeId>,
    /// Where other nodes reach its gRPC, `host` or `host:port`; none: made of the listen address.
    pub advertise: Option<String>,
    /// How often it says that it lives. One that has been silent for three times as long counts as dead.
    pub heartbeat: GoDuration,
    /// Silent for so long, a node is lost: others complete its uploads with what is there; zero: never.
    pub lost_after: GoDuration,
}

/// The media port.
#[derive(Debug, Clone)]
pub struct Webrtc {
    /// Shards listen on the first ports of it.
    pub udp_port_range: PortRange,
    /// How many shards; zero: one a core.
    pub shards: usize,
    /// Addresses to listen on; none: those of the machine's interfaces.
    pub listen_ips: Vec<std::net::IpAddr>,
    /// Addresses to announce instead.
    pub public_ips: Vec<std::net::IpAddr>,
    /// Whether ICE over TCP is offered.
    pub ice_tcp: bool,
    /// By preference.
    pub codecs: Vec<Codec>,
    /// How often a shard drains its socket.
    pub tick: GoDuration,
    /// Silence until a session counts as disconnected.
    pub ice_disconnected_timeout: GoDuration,
    /// Silence until a session ends.
    pub ice_failed_timeout: GoDuration,
    /// Accepted for older deployments: the recorder answers checks and sends none.
    pub ice_keepalive_interval: GoDuration,
    /// From the offer to the first media path.
    pub connect_timeout: GoDuration,
    /// The socket's receive buffer.
    pub receive_buffer: ByteSize,
}

/// What is allowed.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Sessions at a time.
    pub sessions: usize,
    /// Sessions of one tenant at a time.
    pub sessions_per_tenant: usize,
    /// The largest SDP offer.
    pub offer_bytes: ByteSize,
    /// The longest session; zero: no limit.
    pub session_time: GoDuration,
    /// The largest recording; zero: no limit.
    pub recording_bytes: ByteSize,
    /// Room that is kept free on the spool's disk.
    pub min_free_bytes: ByteSize,
    /// The longest name and correlation id, in bytes.
    pub name_bytes: usize,
}

/// Files being written.
#[derive(Debug, Clone)]
pub struct Spool {
    /// Where they are.
    pub directory: PathBuf,
    /// How often they are forced to disk.
    pub sync_interval: GoDuration,
    /// Bytes of one session that may wait for the disk.
    pub max_waiting_bytes: ByteSize,
    /// A disk that takes nothing for this long ends a session.
    pub stall_timeout: GoDuration,
    /// Threads that write.
    pub writers: usize,
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which one.
    pub url: StoreUrl,
    /// Connections at most (Postgres).
    pub max_connections: u32,
    /// Whether a start brings the schema up to date.
    pub auto_migrate: bool,
}

/// Where recordings end up.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The first part of every object key.
    pub base_path: String,
    /// The local directory, unless a bucket is named.
    pub local: LocalBlob,
    /// S3, if a bucket is named.
    pub s3: S3Blob,
}

/// Objects in a local directory.
#[derive(Debug, Clone)]
pub struct LocalBlob {
    /// The directory.
    pub directory: PathBuf,
}

/// Objects in S3.
#[derive(Debug, Clone)]
pub struct S3Blob {
    /// The bucket; none: objects go to the local directory.
    pub bucket: Option<String>,
    /// The endpoint; none: that of AWS.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// Whether the bucket goes into the path instead of the host name.
    pub path_style: bool,
    /// The access key; none: what the AWS chain finds.
    pub access_key: Option<Secret>,
    /// Its secret.
    pub secret_key: Option<Secret>,
    /// Whether requests carry the newer checksums that some stores don't know; none: on AWS only.
    pub checksum: Option<bool>,
    /// The size of a part of a multipart upload.
    pub part_bytes: ByteSize,
    /// The most that all uploads together send in a second; zero: no limit.
    pub bytes_per_second: ByteSize,
}

/// Work on finished recordings.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// Uploads at a time.
    pub upload_workers: usize,
    /// Repeats of a failing upload until it is kept for a person.
    pub upload_max_retry: u32,
    /// Renders at a time; none: one a core.
    pub transcoding_workers: Option<usize>,
    /// Repeats of a failing render until it is kept for a person.
    pub transcoding_max_retry: u32,
    /// The most memory of a render's process.
    pub transcoding_memory: ByteSize,
    /// Where renders work.
    pub work_directory: PathBuf,
    /// How often retention deletes.
    pub retention_interval: GoDuration,
    /// The wait after the first failure; it doubles.
    pub first_backoff: GoDuration,
    /// The longest wait.
    pub max_backoff: GoDuration,
    /// How long a job belongs to a worker that says nothing more.
    pub lease: GoDuration,
    /// The longest sleep between looks at the queue.
    pub poll: GoDuration,
}

/// Renditions that are made while recordings go on.
#[derive(Debug, Clone)]
pub struct Segments {
    /// Where they are kept until they are joined.
    pub directory: PathBuf,
    /// How long a segment is.
    pub interval: GoDuration,
    /// How long a rendition waits for its segments when the recording has ended.
    pub wait: GoDuration,
    /// How long segments are kept that nobody joins.
    pub keep: GoDuration,
    /// How often those are looked for.
    pub clean_up_interval: GoDuration,
    /// Renditions at a time.
    pub followers: usize,
}

/// Who may call.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Static tokens; none: everybody who reaches the port may call.
    pub tokens: Vec<Token>,
}

/// Encryption of both ports.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Our certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Clients have to show a certificate of this authority, PEM. Other nodes are checked against it too.
    pub client_ca: Option<PathBuf>,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    /// The least level that is written.
    pub level: Level,
    /// Whether a line is a JSON object.
    pub json: bool,
    /// Where it goes; none: standard error.
    pub file: Option<PathBuf>,
}

/// Traces.
#[derive(Debug, Clone)]
pub struct Otel {
    /// Where traces go by OTLP over gRPC; none: nowhere.
    pub endpoint: Option<String>,
    /// The name of this service in them.
    pub service_name: String,
}

/// The end.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// How long sessions may take to be sealed.
    pub timeout: GoDuration,
}

/// Service discovery.
#[derive(Debug, Clone, Default)]
pub struct Consul {
    /// The agent's address. Kept and shown; this version does not register.
    pub address: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            insecure: false,
            grpc: Grpc { listen: Listen::loopback(50011), max_message_bytes: ByteSize(4 << 20) },
            http: Http { listen: Listen::loopback(8080), cors_origins: Vec::new(), public_url: None },
            node: Node {
                id: None,
                advertise: None,
                heartbeat: GoDuration(Duration::from_secs(5)),
                lost_after: GoDuration(Duration::from_secs(6 * 3600)),
            },
            webrtc: WebrtcConfig::default().into(),
            limits: Limits::default().into(),
            spool: SpoolConfig::default().into(),
            store: Store { url: StoreUrl::Sqlite(PathBuf::new()), max_connections: 16, auto_migrate: true },
            blob: Blob::default(),
            jobs: Jobs::default(),
            renditions: Vec::new(),
            segments: Segments::default(),
            retention: Vec::new(),
            auth: Auth::default(),
            tls: Tls::default(),
            log: Log { level: Level::INFO, json: false, file: None },
            otel: Otel { endpoint: None, service_name: "webrtc_recorder".to_owned() },
            shutdown: Shutdown { timeout: GoDuration(Duration::from_secs(60)) },
            consul: Consul::default(),
            origins: BTreeMap::new(),
        }
    }
}

impl Default for Blob {
    fn default() -> Self {
        Self {
            base_path: "records".to_owned(),
            local: LocalBlob { directory: PathBuf::new() },
            s3: S3Blob {
                bucket: None,
                endpoint: None,
                region: "us-east-1".to_owned(),
                path_style: false,
                access_key: None,
                secret_key: None,
                checksum: None,
                part_bytes: ByteSize(5 << 20),
                bytes_per_second: ByteSize(0),
            },
        }
    }
}

impl Config {
    /// Where a key's value came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        !self.auth.tokens.is_empty()
    }
}
