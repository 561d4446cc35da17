//! [`Store`](store::Store) on Postgres, for any number of nodes.
//!
//! `store_impl` shows which query each method runs; the queries are in the module of their table. Each module has a twin
//! in `store-sqlite`. The twins differ in these points, and in those that a comment beside the query names:
//!
//! - Time. Leases end and jobs become due by the database's clock (`now()`), so the nodes' clocks need not agree.
//!   SQLite is in the process: its twin passes the process's clock.
//! - Locks. Transactions run side by side. One that changes several tables locks rows in one order, so that there is no
//!   deadlock: session, recording, upload, jobs, renditions. Inserts are last: the key share lock that an insert takes
//!   on its recording does not wait for `FOR NO KEY UPDATE`. SQLite has one writer and needs no locks.
//! - Notifications. Changes are reported by `NOTIFY` in the transaction, to all nodes. SQLite's twin reports them to its
//!   own process after the commit, so its queries return the ids of what they changed.
//! - Types. Ids are `uuid`, times `timestamptz`, lists arrays (`= ANY($1)`). A parameter that is only compared with NULL
//!   needs a cast, for its type is unknown otherwise (`$2::text IS NULL`).
//!
//! sqlx checks the queries against Postgres when the cache in `.sqlx` is made (`migrations/prepare`), and against that
//! cache in every build.

mod config;
mod deletion;
mod error;
mod jobs;
mod listen;
mod lost;
mod migrate;
mod nodes;
mod periodic_tasks;
mod recordings;
mod renditions;
mod rescue;
mod segments;
mod sessions;
mod store_impl;

mod uploads;

use std::{str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use store::{Changes, JobSignal, StoreError, traced};
use tracing::Span;

pub use config::PostgresConfig;

use crate::{error::Failure, listen::Listener};

/// Limits that the server enforces: on a statement whose caller has timed out, and on the transaction of a node that has
/// vanished while others wait for its locks.
const SETTINGS: &str = "SET statement_timeout = '20s'; SET idle_in_transaction_session_timeout = '30s';
    SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// A pool of connections to Postgres, and one connection that receives notifications.
///
/// Every call except [`migrate`](Self::migrate) ends after `call_timeout` at the latest, with `Unavailable`. Whether it
/// was committed is then unknown, and it can be repeated.
///
/// Dropping it closes the connections without waiting for running calls; [`close`](Self::close) waits.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    call_timeout: Duration,
    signal: Arc<JobSignal>,
    changes: Arc<Changes>,
    listener: Listener,
}

impl PostgresStore {
    /// Connects, and starts the task that receives notifications. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// `Internal` if the URL is invalid, `Unavailable` if the database can't be reached.
    pub async fn connect(config: &PostgresConfig) -> Result<Self, StoreError> {
        // The parser's own message may quote the URL, which may hold a password.
        let options = PgConnectOptions::from_str(&config.url)
            .map_err(|_| StoreError::Internal("the URL of the Postgres database is invalid".to_owned()))?;
        let options = match options.get_application_name() {
            None => options.application_name("webrtc-recorder"),
            Some(_) => options,
        };
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SETTINGS).execute(connection).await.map(drop) })
            })
            .connect_with(options.clone())
            .await
            .map_err(Failure::from)?;
        let (signal, changes) = (Arc::new(JobSignal::default()), Arc::new(Changes::default()));
        let listener =
            Listener::spawn(options, config.acquire_timeout, Arc::clone(&signal), Arc::clone(&changes));
        Ok(Self { pool, call_timeout: config.call_timeout, signal, changes, listener })
    }

    /// Stops the notifications, waits for running calls, and closes the connections. Later calls return `Unavailable`.
    pub async fn close(&self) {
        self.listener.stop();
        self.pool.close().await;
    }

    /// Runs one call in its span, at most for the call timeout.
    async fn bounded<T>(
        &self,
        span: Span,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        // Each layer around a future would add its size again.
        let call = Box::pin(call);
        let bounded = async {
            match tokio::time::timeout(self.call_timeout, call).await {
                Ok(result) => result.map_err(StoreError::from),
                Err(_) => Err(StoreError::Unavailable(format!("no answer in {:?}", self.call_timeout))),
            }
        };
        traced(span, bounded).await
    }
}

/// Begins a transaction. See [`complete_begin`].
async fn begin_transaction(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    complete_begin(async move { pool.begin().await }).await
}

/// Begins a read-only transaction whose queries all see the same snapshot.
async fn begin_snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    complete_begin(async move { pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await })
        .await
}

/// Begins a transaction in a task of its own, which completes even if the call is dropped meanwhile. Otherwise sqlx 0.9
/// would return the connection to the pool with an open transaction that it does not know of: later writes on this
/// connection would not be committed.
async fn complete_begin(
    begin: impl Future<Output = Result<Transaction<'static, Postgres>, sqlx::Error>> + Send + 'static,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    // The task has no abort handle, so only the end of the runtime ends it early.
    tokio::spawn(begin).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
