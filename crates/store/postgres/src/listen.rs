//! Hears of new jobs and of changes by LISTEN, on a connection of its own.

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

/// The channel that jobs are announced on.
const JOBS: &str = "webrtc_recorder_jobs";
/// The channel that changes are told on, each with its text.
const CHANGES: &str = "webrtc_recorder_changes";

/// Between attempts to listen again. Meanwhile workers find jobs by looking now and then.
const RECONNECT: Duration = Duration::from_secs(1);

/// The task that listens; ends with this.
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
                warn!(%error, retry_in = ?RECONNECT, "not listening for jobs, polling only");
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
    debug!("listening for jobs");
    let mut heard = None;
    loop {
        match heard {
            // What was announced while nobody listened was not heard.
            None => {
                signal.notify();
                changes.publish(Change::Anything);
            }
            Some(Heard::Jobs) => signal.notify(),
            Some(Heard::Change(change)) => changes.publish(change),
        }
        heard = listener.try_recv().await?.map(|said| match said.channel() {
            JOBS => Heard::Jobs,
            _ => Heard::Change(said.payload().parse().unwrap_or(Change::Anything)),
        });
    }
}

enum Heard {
    Jobs,
    Change(Change),
}

/// Wakes the waiting workers of every node, once the transaction is committed.
pub(crate) async fn announce_jobs(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!("SELECT pg_notify($1, '')", JOBS).execute(connection).await?;
    Ok(())
}

/// Tells every node of a change, once the transaction is committed.
pub(crate) async fn announce(connection: &mut PgConnection, change: Change) -> Result<(), Failure> {
    sqlx::query!("SELECT pg_notify($1, $2)", CHANGES, change.to_string()).execute(connection).await?;
    Ok(())
}

/// Tells every node that something about a recording has changed, once the transaction is committed.
pub(crate) async fn announce_recording(
    connection: &mut PgConnection,
    id: impl Into<RecordingId>,
) -> Result<(), Failure> {
    announce(connection, Change::Recording(id.into())).await
}
