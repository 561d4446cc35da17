//! The table of every key: its name, its environment names, what it means, and where its value lives. Loading,
//! `config check` and the configuration reference are all made from it.

use super::{Config, raw::Raw, settings::Setting};

type Set = Box<dyn Fn(&mut Config, &Raw) -> Result<(), String> + Send + Sync>;
type Show = Box<dyn Fn(&mut Config) -> String + Send + Sync>;

/// One key.
pub(crate) struct Key {
    /// Its dotted name.
    pub(crate) name: &'static str,
    /// The name that older deployments set in the environment.
    pub(crate) legacy: Option<&'static str>,
    /// What it means.
    pub(crate) help: &'static str,
    /// The default in words, where it is made at the start.
    pub(crate) default: Option<&'static str>,
    /// Checks a value and puts it in its place.
    pub(crate) set: Set,
    /// The value as TOML, secrets hidden.
    pub(crate) show: Show,
}

impl Key {
    fn legacy(self, name: &'static str) -> Self {
        Self { legacy: Some(name), ..self }
    }

    fn default(self, words: &'static str) -> Self {
        Self { default: Some(words), ..self }
    }

    /// The environment name by rule: `grpc.listen` is `RECORDER__GRPC__LISTEN`.
    pub(crate) fn environment(&self) -> String {
        format!("RECORDER__{}", self.name.replace('.', "__").to_ascii_uppercase())
    }
}

fn key<T: Setting + 'static>(name: &'static str, at: fn(&mut Config) -> &mut T, help: &'static str) -> Key {
    Key {
        name,
        legacy: None,
        help,
        default: None,
        set: Box::new(move |config, raw| {
            *at(config) = T::parse(raw)?;
            Ok(())
        }),
        show: Box::new(move |config| at(config).show()),
    }
}

/// Every key, by section.
pub(crate) fn keys() -> Vec<Key> {
    [general(), ports(), webrtc(), limits(), storage(), blob(), jobs(), wanted(), access(), telemetry()]
        .into_iter()
        .flatten()
        .collect()
}

fn general() -> Vec<Key> {
    vec![
        key("data_dir", |c| &mut c.data_dir, "Holds `recorder.db`, `spool/` and `objects/`.").default(
            "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/webrtc-recorder`, else \
                `~/.local/state/webrtc-recorder`",
        ),
        key("insecure", |c| &mut c.insecure, "Listen beyond loopback without authentication."),
        key(
            "node.id",
            |c| &mut c.node.id,
            "This node's id, unlike that of every other node on the same database.",
        )
        .legacy("ID")
        .default("made at the first start, kept in `<data_dir>/node-id`"),
        key(
            "node.advertise",
            |c| &mut c.node.advertise,
            "Where other nodes reach this one's gRPC: `host` or `host:port`.",
        )
        .legacy("PROXY_GRPC_HOST")
        .default("the listen address, or the machine's first address"),
        key(
            "node.heartbeat",
            |c| &mut c.node.heartbeat,
            "How often the node says in the database that it lives. After three times as long it counts \
             as dead.",
        ),
        key(
            "node.lost_after",
            |c| &mut c.node.lost_after,
            "A node that has been silent for so long is lost: another one completes its uploads with the parts that are \
             there, and says what is missing. If the node comes back, what is on its disk takes the place of that. `0` is \
             never.",
        ),
        key(
            "shutdown.timeout",
            |c| &mut c.shutdown.timeout,
            "How long live sessions may take to be sealed at the end. What is not sealed by then is at \
             the next start.",
        ),
    ]
}

fn ports() -> Vec<Key> {
    vec![
        key(
            "grpc.listen",
            |c| &mut c.grpc.listen,
            "Where gRPC listens, `host:port`; `:port` is every IPv4 address.",
        )
        .legacy("BIND_ADDRESS"),
        key("grpc.max_message_bytes", |c| &mut c.grpc.max_message_bytes, "The largest message that is read."),
        key(
            "http.listen",
            |c| &mut c.http.listen,
            "Where HTTP listens: JSON routes; metrics and probes, which ask for no token.",
        ),
        key(
            "http.cors_origins",
            |c| &mut c.http.cors_origins,
            "Web origins whose pages may call (JSON and gRPC-web); `*` is all.",
        ),
        key(
            "http.public_url",
            |c| &mut c.http.public_url,
            "How callers reach the HTTP port, such as `https://recorder.example`: what download links of the local \
             object directory begin with.",
        )
        .default("made of the listen address"),
    ]
}

fn webrtc() -> Vec<Key> {
    vec![
        key(
            "webrtc.udp_port_range",
            |c| &mut c.webrtc.udp_port_range,
            "Media listens on the first ports of it, one a shard, UDP and ICE-TCP. `10000-10999` or \
             `10000:10999`.",
        )
        .legacy("WEBRTC_UDP_PORT_RANGE"),
        key("webrtc.shards", |c| &mut c.webrtc.shards, "Threads that receive media; 0 is one a core."),
        key("webrtc.listen_ips", |c| &mut c.webrtc.listen_ips, "Addresses that media listens on.")
            .default("all of the machine but loopback, and loopback too while gRPC listens on loopback"),
        key(
            "webrtc.public_ips",
            |c| &mut c.webrtc.public_ips,
            "Addresses that are announced instead of those (NAT 1:1).",
        ),
        key(
            "webrtc.ice_tcp",
            |c| &mut c.webrtc.ice_tcp,
            "Whether ICE over TCP is offered, on the same ports.",
        ),
        key(
            "webrtc.codecs",
            |c| &mut c.webrtc.codecs,
            "Codecs that are accepted, best first. `VP8` or `video/VP8`.",
        )
        .legacy("WEBRTC_CODECS"),
        key(
            "webrtc.tick",
            |c| &mut c.webrtc.tick,
            "How often a shard drains its socket while no handshake is under way; up to four times as rarely while the socket stays nearly empty.",
        ),
        key(
            "webrtc.ice_disconnected_timeout",
            |c| &mut c.webrtc.ice_disconnected_timeout,
            "Silence until a session counts as disconnected. It records on if the client comes back.",
        )
        .legacy("WEBRTC_ICE_DISCONNECT_TIMEOUT"),
        key(
            "webrtc.ice_failed_timeout",
            |c| &mut c.webrtc.ice_failed_timeout,
            "Silence until a session ends and is sealed.",
        )
        .legacy("WEBRTC_ICE_FAILED_TIMEOUT"),
        key(
            "webrtc.ice_keepalive_interval",
            |c| &mut c.webrtc.ice_keepalive_interval,
            "Accepted for older deployments, without effect: the client sends the keepalives and the \
             recorder answers them.",
        )
        .legacy("WEBRTC_ICE_KEEPALIVE_TIMEOUT"),
        key(
            "webrtc.connect_timeout",
            |c| &mut c.webrtc.connect_timeout,
            "From the offer until media could flow; then the session ends.",
        ),
        key(
            "webrtc.receive_buffer",
            |c| &mut c.webrtc.receive_buffer,
            "The receive buffer that is asked of the kernel for each media socket.",
        ),
    ]
}

fn limits() -> Vec<Key> {
    vec![
        key("limits.sessions", |c| &mut c.limits.sessions, "Live sessions on this node."),
        key(
            "limits.sessions_per_tenant",
            |c| &mut c.limits.sessions_per_tenant,
            "Live sessions of one tenant on this node.",
        ),
        key("limits.offer_bytes", |c| &mut c.limits.offer_bytes, "The largest SDP offer."),
        key("limits.session_time", |c| &mut c.limits.session_time, "The longest session; `0` is no limit."),
        key(
            "limits.recording_bytes",
            |c| &mut c.limits.recording_bytes,
            "The largest recording; `0` is no limit.",
        ),
        key(
            "limits.min_free_bytes",
            |c| &mut c.limits.min_free_bytes,
            "New sessions are refused while the spool's disk has less room than this.",
        ),
        key("limits.name_bytes", |c| &mut c.limits.name_bytes, "The longest name and correlation id."),
    ]
}

fn storage() -> Vec<Key> {
    vec![
        key(
            "spool.directory",
            |c| &mut c.spool.directory,
            "Files that are being written, and those not yet in the object store.",
        )
        .legacy("CACHE_TEMP_DIR")
        .default("`<data_dir>/spool`"),
        key(
            "spool.sync_interval",
            |c| &mut c.spool.sync_interval,
            "How often what was written is forced to disk.",
        ),
        key(
            "spool.max_waiting_bytes",
            |c| &mut c.spool.max_waiting_bytes,
            "Bytes of one session that may wait for the disk.",
        ),
        key(
            "spool.stall_timeout",
            |c| &mut c.spool.stall_timeout,
            "A disk that takes nothing for this long ends the session; what is there is kept.",
        ),
        key("spool.writers", |c| &mut c.spool.writers, "Threads that write."),
        key(
            "store.url",
            |c| &mut c.store.url,
            "The database: `postgres://user:password@host/database`, or the path of an SQLite file.",
        )
        .legacy("DATA_SOURCE")
        .default("`<data_dir>/recorder.db`"),
        key("store.max_connections", |c| &mut c.store.max_connections, "Connections at most (Postgres)."),
        key(
            "store.auto_migrate",
            |c| &mut c.store.auto_migrate,
            "Bring the schema up to date at the start. If false, a start on Postgres with an older \
             schema is refused; SQLite is always brought up to date.",
        ),
    ]
}

fn blob() -> Vec<Key> {
    vec![
        key("blob.base_path", |c| &mut c.blob.base_path, "The first part of every object key."),
        key(
            "blob.local.directory",
            |c| &mut c.blob.local.directory,
            "Where objects are kept while no bucket is named.",
        )
        .default("`<data_dir>/objects`"),
        key("blob.s3.bucket", |c| &mut c.blob.s3.bucket, "The bucket. Naming one means S3."),
        key(
            "blob.s3.endpoint",
            |c| &mut c.blob.s3.endpoint,
            "The endpoint of a store that is not AWS, such as `https://minio:9000`.",
        ),
        key("blob.s3.region", |c| &mut c.blob.s3.region, "The region."),
        key(
            "blob.s3.path_style",
            |c| &mut c.blob.s3.path_style,
            "The bucket in the path instead of the host name: most stores that are not AWS want it.",
        ),
        key("blob.s3.access_key", |c| &mut c.blob.s3.access_key, "The access key. Secret.")
            .default("what the AWS environment gives"),
        key("blob.s3.secret_key", |c| &mut c.blob.s3.secret_key, "Its secret. Secret.")
            .default("what the AWS environment gives"),
        key(
            "blob.s3.checksum",
            |c| &mut c.blob.s3.checksum,
            "Whether requests carry the checksums that some stores don't know.",
        )
        .default("true on AWS, false with an endpoint"),
        key(
            "blob.s3.part_bytes",
            |c| &mut c.blob.s3.part_bytes,
            "The size of a part of a multipart upload, 5MiB or more. A recording is uploaded while it goes on, part by \
             part, once it has two.",
        ),
        key(
            "blob.s3.bytes_per_second",
            |c| &mut c.blob.s3.bytes_per_second,
            "The most that all uploads of this node together send in a second; `0` is no limit.",
        ),
    ]
}

fn jobs() -> Vec<Key> {
    vec![
        key("jobs.upload_workers", |c| &mut c.jobs.upload_workers, "Uploads at a time.")
            .legacy("UPLOADER_WORKERS"),
        key(
            "jobs.upload_max_retry",
            |c| &mut c.jobs.upload_max_retry,
            "Repeats of a failing upload until it is parked for a person; the media is kept.",
        )
        .legacy("UPLOADER_MAX_RETRY"),
        key(
            "jobs.transcoding_workers",
            |c| &mut c.jobs.transcoding_workers,
            "Renditions that are made at a time, each in a process of its own with a lower priority.",
        )
        .legacy("TRANSCODING_WORKERS")
        .default("one a core"),
        key(
            "jobs.transcoding_max_retry",
            |c| &mut c.jobs.transcoding_max_retry,
            "Repeats of a failing rendition until it is parked for a person. What can't be read is parked at once.",
        )
        .legacy("TRANSCODING_MAX_RETRY"),
        key(
            "jobs.transcoding_memory",
            |c| &mut c.jobs.transcoding_memory,
            "The most address space of the process that makes a rendition; `0` is no limit. AV1 of large pictures may \
             need more.",
        ),
        key(
            "jobs.work_directory",
            |c| &mut c.jobs.work_directory,
            "Where renditions are made; on the spool's file system nothing has to be copied first.",
        )
        .default("`<data_dir>/work`"),
        key(
            "jobs.retention_interval",
            |c| &mut c.jobs.retention_interval,
            "How often what `retention` names is looked for; one node of all does it.",
        ),
        key(
            "jobs.first_backoff",
            |c| &mut c.jobs.first_backoff,
            "The wait after a first failure; it doubles from run to run.",
        ),
        key("jobs.max_backoff", |c| &mut c.jobs.max_backoff, "The longest wait."),
        key(
            "jobs.lease",
            |c| &mut c.jobs.lease,
            "How long a job belongs to a worker that says nothing more.",
        ),
        key("jobs.poll", |c| &mut c.jobs.poll, "The longest sleep between looks at the queue."),
    ]
}

fn wanted() -> Vec<Key> {
    vec![
        key(
            "renditions",
            |c| &mut c.renditions,
            "What is made of every recording: `[[renditions]]` with `kind` (mp4, webm, mp3, ogg_opus, wav, thumbnail, \
             contact_sheet, waveform, mosaic, mix, stem), its parameters by the names of \
             `recorder/v1/rendition.proto`, and `tenant` if it is for one alone.",
        ),
        key(
            "retention",
            |c| &mut c.retention,
            "What is deleted with age: `[[retention]]` with `after`; `rendition` (a kind) if it is for renditions of it, \
             not for recordings with all that was made of them; `tenant` if it is for one alone, whose rule goes before \
             that for all. Parked recordings are never deleted by it.",
        ),
    ]
}

fn access() -> Vec<Key> {
    vec![
        key(
            "auth.tokens",
            |c| &mut c.auth.tokens,
            "Tokens that may call, each `{ tenant = \"…\", role = \"viewer|recorder|admin\", sha256 = \
             \"…\", name = \"…\" }`; `sha256` as of `printf %s \"$TOKEN\" | sha256sum`. Secret.",
        ),
        key("tls.certificate", |c| &mut c.tls.certificate, "Certificate chain of both ports, PEM."),
        key("tls.key", |c| &mut c.tls.key, "Its private key, PEM."),
        key(
            "tls.client_ca",
            |c| &mut c.tls.client_ca,
            "Clients have to show a certificate of this authority, PEM. Other nodes are checked against \
             it too.",
        ),
    ]
}

fn telemetry() -> Vec<Key> {
    vec![
        key(
            "log.level",
            |c| &mut c.log.level,
            "The least level that is written: trace, debug, info, warn, error. `RUST_LOG` goes before it.",
        )
        .legacy("LOG_LVL"),
        key("log.json", |c| &mut c.log.json, "Whether a line is a JSON object.").legacy("LOG_JSON"),
        key("log.file", |c| &mut c.log.file, "A file to append to instead of standard error.")
            .legacy("LOG_FILE"),
        key("otel.endpoint", |c| &mut c.otel.endpoint, "Where traces go by OTLP over gRPC.")
            .legacy("OTEL_EXPORTER_OTLP_ENDPOINT"),
        key("otel.service_name", |c| &mut c.otel.service_name, "The name of this service in traces.")
            .legacy("OTEL_SERVICE_NAME"),
        key(
            "consul.address",
            |c| &mut c.consul.address,
            "The Consul agent. Accepted for older deployments; this version does not register.",
        )
        .legacy("CONSUL"),
    ]
}
