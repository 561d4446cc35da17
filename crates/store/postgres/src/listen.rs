//! Receives notifications of new jobs and of changes (LISTEN), on a connection of its own.

use std::{convert::Infallible, sync::Arc, time::Duration};

use model::RecordingId;
use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use store::{Change, Changes, JobSignal};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::Failure;

/// The channel for new jobs; notifications have no payload.
const JOBS: &str = "webrtc_recorder_jobs";
/// The channel for changes; the payload is the [`Change`] as text.
const CHANGES: &str = "webrtc_recorder_changes";

/// Time between attempts to connect again. Meanwhile workers find jobs by polling.
const RECONNECT: Duration = Duration::from_secs(1);

/// The task that receives notifications. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Listener {
    task: AbortHandle,
}

impl Listener {
    pub(crate) fn spawn(
        options: PgConnectOptions,
        acquire_timeout: Duration,
        signal: Arc<JobSignal>,
        changes: Arc<Changes>,
    ) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let Err(error) = listen(&options, acquire_timeout, &signal, &changes).await;
                warn!(%error, retry_in = ?RECONNECT, "LISTEN failed: workers poll for jobs");
                tokio::time::sleep(RECONNECT).await;
            }
        });
        Self { task: task.abort_handle() }
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(
    options: &PgConnectOptions,
    acquire_timeout: Duration,
    signal: &JobSignal,
    changes: &Changes,
) -> Result<Infallible, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(acquire_timeout)
        .connect_with(options.clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen_all([JOBS, CHANGES]).await?;
    debug!(target: "store", "LISTEN began");
    let mut received = None;
    loop {
        match received {
            // Notifications before LISTEN began are lost.
            None => {
                signal.notify();
                changes.publish(Change::Anything);
            }
            Some(Notification::Jobs) => signal.notify(),
            Some(Notification::Change(change)) => changes.publish(change),
        }
        received = listener.try_recv().await?.map(|notification| match notification.channel() {
            JOBS => Notification::Jobs,
            _ => Notification::Change(notification.payload().parse().unwrap_or(Change::Anything)),
        });
    }
}

enum Notification {
    Jobs,
    Change(Change),
}

/// Wakes the waiting workers of all nodes when the transaction is committed.
pub(crate) async fn announce_jobs(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!("SELECT pg_notify($1, '')", JOBS).execute(connection).await?;
    Ok(())
}

/// Reports a change to all nodes when the transaction is committed.
pub(crate) async fn announce(connection: &mut PgConnection, change: Change) -> Result<(), Failure> {
    sqlx::query!("SELECT pg_notify($1, $2)", CHANGES, change.to_string()).execute(connection).await?;
    Ok(())
}

/// Reports to all nodes that a recording changed, when the transaction is committed.
pub(crate) async fn announce_recording(
    connection: &mut PgConnection,
    id: impl Into<RecordingId>,
) -> Result<(), Failure> {
    announce(connection, Change::Recording(id.into())).await
}
