//! The run of a recorder, and its shutdown.

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

/// Interval and time-out of the database check for readiness.
const DATABASE_CHECK: Duration = Duration::from_secs(2);
/// Interval of the metrics exporter's upkeep.
const METRICS_UPKEEP: Duration = Duration::from_secs(15);
/// Time-out of each shutdown step after the last recording is finalized: answers, workers, connections.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Sessions that were not finalized in time. The next start recovers them.
    pub unfinished: usize,
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
    /// A port's task panicked.
    #[error("a port failed: {0}")]
    Task(tokio::task::JoinError),
}

/// The tasks of a running recorder.
struct Running {
    app: App,
    ports: JoinSet<Result<(), RunError>>,
    stop_ports: CancellationToken,
    background: TaskTracker,
    stop_background: CancellationToken,
}

impl App {
    /// Serves until `shutdown` is ready, then drains, finalizes every recording and closes.
    ///
    /// # Errors
    /// [`RunError`] if a port fails. Recordings are finalized all the same.
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
        let (stop_ports, stop_background) = (CancellationToken::new(), CancellationToken::new());
        let (background, mut ports) = (TaskTracker::new(), JoinSet::new());
        let store = self.database.store();

        self.heartbeat.beat().await;
        self.readiness.check(store.as_ref(), DATABASE_CHECK).await;
        background.spawn(self.heartbeat.clone().run(stop_background.clone()));
        background.spawn(self.readiness.clone().watch(store, DATABASE_CHECK, stop_background.clone()));
        background.spawn(metrics::run_upkeep(METRICS_UPKEEP, stop_background.clone()));

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
        Running { app: self, ports, stop_ports, background, stop_background }
    }
}

impl Running {
    /// Shuts down in the order that loses nothing: turn readiness off, refuse new offers, finalize the sessions while
    /// calls are still answered, release the leases of jobs, close ports and connections.
    async fn end(mut self) -> Ended {
        let App { calls, readiness, heartbeat, workers, stop_workers, database, config, .. } = self.app;
        let api = calls.api();
        tracing::info!(sessions = api.capture.count(), "shutting down");
        readiness.drain().await;
        api.capture.drain();
        // After new offers are refused, so that a slow database does not delay that.
        heartbeat.beat().await;

        let unfinished = api.capture.shutdown(config.shutdown.timeout.0).await;
        if unfinished > 0 {
            tracing::warn!(unfinished, "sessions were not finalized in time; the next start recovers them");
        }
        api.closing.cancel();
        api.work.close();
        let _ = timeout(STEP_TIMEOUT, api.work.wait()).await;

        stop_workers.cancel();
        if timeout(STEP_TIMEOUT, workers.stopped()).await.is_err() {
            tracing::warn!("workers did not stop in time; their leases will expire");
        }

        self.stop_ports.cancel();
        let answered = async { while self.ports.join_next().await.is_some() {} };
        if timeout(STEP_TIMEOUT, answered).await.is_err() {
            // Clients that watch health or hold idle connections would delay the exit without end.
            self.ports.abort_all();
        }

        self.stop_background.cancel();
        self.background.close();
        let _ = timeout(STEP_TIMEOUT, self.background.wait()).await;
        let _ = timeout(STEP_TIMEOUT, database.close()).await;
        tracing::info!(unfinished, "stopped");
        Ended { unfinished }
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
