//! Hears of new jobs by LISTEN, on a connection of its own.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use store::JobSignal;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

/// The channel that jobs are announced on.
pub(crate) const CHANNEL: &str = "webrtc_recorder_jobs";

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
    ) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let Err(error) = listen(&options, acquire_timeout, &signal).await;
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
) -> Result<Infallible, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(acquire_timeout)
        .connect_with(options.clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    debug!("listening for jobs");
    loop {
        // What was announced while nobody listened was not heard.
        signal.notify();
        listener.try_recv().await?;
    }
}
