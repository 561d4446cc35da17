//! The whole wiring. `build` binds everything and serves nothing; `run` serves until its shutdown future is ready.

use std::{io, net::SocketAddr, sync::Arc};

use capture::Capture;
use jobs::Workers;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{Api, MAX_WATCHERS, RequestLimits},
    auth::Authenticator,
    backends::Database,
    calls::Calls,
    cluster::Cluster,
    config::{Config, StoreUrl},
    downloads::Downloads,
    grpc::GrpcNodeClient,
    ledger::StoreLedger,
    metrics,
    node::{self, Heartbeat},
    open_recordings::OpenRecordings,
    readiness::Readiness,
    renditions,
    start_error::StartError,
    tls,
};

/// A recorder that is bound and ready to run.
pub struct App {
    pub(crate) config: Config,
    pub(crate) calls: Calls,
    pub(crate) database: Database,
    pub(crate) workers: Workers,
    pub(crate) stop_workers: CancellationToken,
    pub(crate) readiness: Readiness,
    pub(crate) heartbeat: Heartbeat,
    /// [`App::run`] takes it.
    pub(crate) grpc: Option<TcpListener>,
    /// [`App::run`] takes it.
    pub(crate) http: Option<TcpListener>,
    pub(crate) grpc_address: SocketAddr,
    pub(crate) http_address: SocketAddr,
    pub(crate) tls: tls::Material,
}

impl App {
    /// Opens the database and the object store, binds the ports, recovers what a crash left in the spool. The media sockets
    /// receive from now on; no call is answered before [`run`](Self::run).
    ///
    /// # Errors
    /// [`StartError`]; nothing stays bound.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        metrics::exporter();
        std::fs::create_dir_all(&config.data_dir)
            .map_err(StartError::io(format!("data_dir {}", config.data_dir.display())))?;
        let node = node::id(&config).map_err(StartError::io("the node's id"))?;
        let tls = tls::Material::read(&config.tls)
            .map_err(|error| StartError::config(&config, error.key, error.problem))?;
        let (grpc, grpc_address) = bind(&config, "grpc.listen", config.grpc.listen.address()).await?;
        let (http, http_address) = bind(&config, "http.listen", config.http.listen.address()).await?;

        let database = open_database(&config).await?;
        let store = database.store();
        let blobs = config.blob.open().await?;

        let key_file = config.data_dir.join("download-key");
        let downloads = Downloads::open(&key_file, &node::public_url(&config, http_address))
            .map_err(StartError::io(format!("the key of download links, {}", key_file.display())))?;

        let ledger = StoreLedger::new(Arc::clone(&store), node.clone(), config.renditions.clone());
        let settings = config
            .capture(node.clone())
            .map_err(StartError::io("the addresses of the machine's interfaces"))?;
        let capture = Capture::start(settings, Arc::new(ledger))
            .await
            .map_err(|error| StartError::config(&config, error.key, error.problem))?;

        let stop_workers = CancellationToken::new();
        let workers = Workers::spawn(
            config.jobs(node.clone()),
            Arc::clone(&store),
            Arc::clone(&blobs),
            Arc::new(config.renderer()),
            stop_workers.clone(),
        );
        let (base_path, default_renditions) = (config.blob.base_path.clone(), config.renditions.clone());
        let open_recordings = OpenRecordings::new(capture.clone(), base_path, &default_renditions);
        let renditions_of = move |recording: &_| renditions::of_recording(recording, &default_renditions);
        workers.watch_open_files(Arc::new(open_recordings), Arc::new(renditions_of));

        let readiness = Readiness::new().await;
        let heartbeat = Heartbeat {
            id: node.clone(),
            address: node::advertised(&config, grpc_address),
            store: Arc::clone(&store),
            readiness: readiness.clone(),
            interval: config.node.heartbeat.0,
        };
        let api = Api {
            capture,
            blobs,
            downloads,
            cluster: Cluster {
                node: node.clone(),
                store: Arc::clone(&store),
                client: Arc::new(GrpcNodeClient::new(node, tls.grpc_client(), config.shutdown.timeout.0)),
                silent_after: config.node.silent_after(),
            },
            store,
            limits: RequestLimits {
                name_bytes: config.limits.name_bytes,
                offer_bytes: config.limits.offer_bytes.as_usize(),
            },
            work: TaskTracker::new(),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
            closing: CancellationToken::new(),
            bit_rates: Arc::default(),
        };
        let auth = Authenticator::new(config.auth.tokens.clone());
        Ok(Self {
            config,
            calls: Calls::new(api, auth),
            database,
            workers,
            stop_workers,
            readiness,
            heartbeat,
            grpc: Some(grpc),
            http: Some(http),
            grpc_address,
            http_address,
            tls,
        })
    }

    /// The bound gRPC address.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// The bound addresses of media.
    #[must_use]
    pub fn media_addresses(&self) -> Vec<SocketAddr> {
        self.calls.api().capture.media_addresses()
    }

    /// The bound HTTP address.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }
}

async fn bind(
    config: &Config,
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let refuse =
        |error: io::Error| StartError::config(config, key, format!("can't listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    Ok((listener, bound))
}

/// Opens the database and applies pending migrations. On Postgres the operator can forbid that; an SQLite file has no
/// other user.
async fn open_database(config: &Config) -> Result<Database, StartError> {
    let database = Database::open(config).await?;
    let url = || config.store.url.redacted();
    let refuse = |error| StartError::Store { url: url(), error };
    if config.store.auto_migrate || matches!(config.store.url, StoreUrl::Sqlite(_)) {
        database.migrate().await.map_err(refuse)?;
        return Ok(database);
    }
    let pending = database.pending().await.map_err(refuse)?;
    if pending.is_empty() { Ok(database) } else { Err(StartError::Pending { url: url(), pending }) }
}
