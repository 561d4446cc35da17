//! A recorder that runs, and the one way in which it ends.

use std::{io, time::Duration};

use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::App,
    grpc::{self, GrpcSettings},
    http::{self, HttpState},
    metrics,
    systemd::{READY, STOPPING, notify},
};

/// How often the database is looked at for readiness.
const LOOK: Duration = Duration::from_secs(2);
/// How often old samples of the metrics are forgotten.
const METRICS_UPKEEP: Duration = Duration::from_secs(15);
/// How long each step after the last seal may take: answers under way, workers, connections.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Sessions that were not sealed in time. The next start seals them.
    pub unsealed: usize,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The gRPC port failed.
    #[error("the gRPC port failed: {0}")]
    Grpc(tonic::transport::Error),
    /// The HTTP port failed.
    #[error("the HTTP port failed: {0}")]
    Http(io::Error),
    /// A port's task broke.
    #[error("a port failed: {0}")]
    Task(tokio::task::JoinError),
}

/// What runs beside the sessions.
struct Running {
    app: App,
    ports: JoinSet<Result<(), RunError>>,
    stop_ports: CancellationToken,
    watchers: TaskTracker,
    stop_watchers: CancellationToken,
}

impl App {
    /// Serves until `shutdown` is ready, then drains, seals and closes, in that order.
    ///
    /// # Errors
    /// [`RunError`] if a port fails; sessions are sealed all the same.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Ended, RunError> {
        let mut running = self.start().await;
        notify(READY);
        let failure = tokio::select! {
            () = shutdown => None,
            Some(ended) = running.ports.join_next() => match ended {
                Ok(result) => result.err(),
                Err(error) => Some(RunError::Task(error)),
            },
        };
        notify(STOPPING);
        let ended = running.end().await;
        failure.map_or(Ok(ended), Err)
    }

    async fn start(mut self) -> Running {
        let (stop_ports, stop_watchers) = (CancellationToken::new(), CancellationToken::new());
        let (watchers, mut ports) = (TaskTracker::new(), JoinSet::new());
        let store = self.database.store();

        self.heartbeat.beat().await;
        self.readiness.look(store.as_ref(), LOOK).await;
        watchers.spawn(self.heartbeat.clone().run(stop_watchers.clone()));
        watchers.spawn(self.readiness.clone().watch(store, LOOK, stop_watchers.clone()));
        watchers.spawn(metrics::keep_up(METRICS_UPKEEP, stop_watchers.clone()));

        let cors = http::cors(&self.config.http.cors_origins);
        if let Some(listener) = self.grpc.take() {
            let settings = GrpcSettings {
                max_message_bytes: self.config.grpc.max_message_bytes.as_usize(),
                tls: self.tls.grpc_server(),
                cors: cors.clone(),
            };
            let (calls, health) = (self.calls.clone(), self.readiness.health());
            let stop = stop_ports.clone();
            ports.spawn(async move {
                grpc::serve(listener, calls, health, settings, stop).await.map_err(RunError::Grpc)
            });
        }
        if let Some(listener) = self.http.take() {
            let state = HttpState { calls: self.calls.clone(), readiness: self.readiness.clone() };
            let router = http::router(state, self.config.grpc.max_message_bytes.as_usize(), cors);
            ports.spawn(serve_http(listener, router, self.tls.clone(), stop_ports.clone()));
        }
        Running { app: self, ports, stop_ports, watchers, stop_watchers }
    }
}

impl Running {
    /// The end, in the order that loses nothing: load balancers look elsewhere, new offers are refused, sessions are
    /// sealed while calls to stop them are still answered, leases are given back, ports and connections close.
    async fn end(mut self) -> Ended {
        let App { calls, readiness, heartbeat, workers, stop_workers, database, config, .. } = self.app;
        let api = calls.api();
        tracing::info!(sessions = api.capture.count(), "shutting down");
        readiness.drain().await;
        api.capture.drain();
        // After the refusal: a database that is slow must not keep the door open.
        heartbeat.beat().await;

        let unsealed = api.capture.shutdown(config.shutdown.timeout.0).await;
        if unsealed > 0 {
            tracing::warn!(unsealed, "sessions were not sealed in time; the next start seals them");
        }
        api.closing.cancel();
        api.work.close();
        let _ = timeout(LAST_STEPS, api.work.wait()).await;

        stop_workers.cancel();
        if timeout(LAST_STEPS, workers.stopped()).await.is_err() {
            tracing::warn!("workers did not stop in time; their leases run out by themselves");
        }

        self.stop_ports.cancel();
        let answered = async { while self.ports.join_next().await.is_some() {} };
        if timeout(LAST_STEPS, answered).await.is_err() {
            // A client that watches health or holds an idle connection would hold us up for ever.
            self.ports.abort_all();
        }

        self.stop_watchers.cancel();
        self.watchers.close();
        let _ = timeout(LAST_STEPS, self.watchers.wait()).await;
        let _ = timeout(LAST_STEPS, database.close()).await;
        tracing::info!(unsealed, "stopped");
        Ended { unsealed }
    }
}

async fn serve_http(
    listener: TcpListener,
    router: axum::Router,
    tls: crate::tls::Material,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let stopped = stop.cancelled_owned();
    let tls = tls.http_server().map_err(|error| RunError::Http(io::Error::other(error.problem)))?;
    let served = match tls {
        None => axum::serve(listener, router).with_graceful_shutdown(stopped).await,
        Some(tls) => {
            let listener = http::TlsListener::new(listener, tls).map_err(RunError::Http)?;
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        }
    };
    served.map_err(RunError::Http)
}
