//! Whether this node accepts new sessions, as reported by `/readyz`, gRPC health and `recorder_ready`.

use std::{sync::Arc, time::Duration};

use store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{grpc::SERVICES, metrics};

/// A node's readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It accepts new sessions.
    Ready,
    /// Its database does not answer.
    DatabaseAway,
    /// It shuts down.
    Draining,
}

/// Holds the state and publishes each change. Cheap to clone.
#[derive(Clone)]
pub struct Readiness {
    state: Arc<watch::Sender<State>>,
    health: HealthReporter,
}

impl Readiness {
    /// Not ready until the first successful check.
    pub async fn new() -> Self {
        let health = HealthReporter::new();
        let readiness = Self { state: Arc::new(watch::Sender::new(State::DatabaseAway)), health };
        readiness.publish(State::DatabaseAway).await;
        readiness
    }

    /// The source of the gRPC health service.
    #[must_use]
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Not ready from now on; later checks change nothing.
    pub async fn drain(&self) {
        self.state.send_replace(State::Draining);
        self.publish(State::Draining).await;
    }

    /// Checks once whether the database answers within `wait`.
    pub async fn check(&self, store: &dyn Store, wait: Duration) {
        let answer = tokio::time::timeout(wait, store.ping()).await;
        let problem = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it did not answer in time".to_owned()),
        };
        let found = if problem.is_none() { State::Ready } else { State::DatabaseAway };
        let changed = self.state.send_if_modified(|state| {
            let changes = *state != State::Draining && *state != found;
            if changes {
                *state = found;
            }
            changes
        });
        if changed {
            match problem {
                None => tracing::info!("ready"),
                Some(error) => tracing::warn!(error, "not ready: database unavailable"),
            }
            self.publish(found).await;
        }
    }

    /// Checks every `interval` until `stop`.
    pub async fn watch(self, store: Arc<dyn Store>, interval: Duration, stop: CancellationToken) {
        loop {
            self.check(store.as_ref(), interval).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    async fn publish(&self, state: State) {
        let ready = state == State::Ready;
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES.iter().chain(&[""]) {
            self.health.set_service_status(service, status).await;
        }
        metrics::gauge!(metrics::names::READY).set(if ready { 1.0 } else { 0.0 });
    }
}
