//! The store on Postgres.
//!
//! Leases end and jobs become due by the database's clock, so the nodes' clocks need not agree. Jobs are taken with
//! `FOR UPDATE SKIP LOCKED` in one statement that commits at once; waiting workers are woken, and changes are told, by
//! LISTEN/NOTIFY.
//!
//! Transactions that change several tables lock rows in one order, so that none waits for another in a circle: session,
//! recording, upload, jobs, renditions. New rows come last; they refer to a recording without waiting for its lock.
//!
//! Queries are checked against Postgres when the cache in `.sqlx` is made (`migrations/prepare`), and against that
//! cache by every build.

mod config;
mod deletion;
mod error;
mod jobs;
mod listen;
mod lost;
mod migrate;
mod nodes;
mod recordings;
mod renditions;
mod rescue;
mod segments;
mod sessions;
mod store_impl;
mod turns;
mod uploads;

use std::{str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use store::{Changes, JobSignal, StoreError};

pub use config::PostgresConfig;

use crate::{error::Failure, listen::Listener};

/// What the server is to end by itself: a statement whose caller has given up, and the transaction of a node that has
/// vanished, whose locks others wait for.
const SETTINGS: &str = "SET statement_timeout = '20s'; SET idle_in_transaction_session_timeout = '30s';
    SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// The store on Postgres.
///
/// Every call but [`migrate`](Self::migrate) is over after the call timeout of its configuration, with `Unavailable`
/// if the database hasn't answered: whether it did what was asked is then unknown, and every call may be repeated.
///
/// Dropping it ends its connections without waiting for them; [`close`](Self::close) waits.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    call_timeout: Duration,
    signal: Arc<JobSignal>,
    changes: Arc<Changes>,
    listener: Listener,
}

impl PostgresStore {
    /// Connects, and begins to listen for jobs.
    ///
    /// # Errors
    /// `Internal` if the URL can't be read, `Unavailable` if the database can't be reached.
    pub async fn connect(config: &PostgresConfig) -> Result<Self, StoreError> {
        // The parser's own message may quote the URL, which may hold a password.
        let options = PgConnectOptions::from_str(&config.url)
            .map_err(|_| StoreError::Internal("the URL of the Postgres database can't be read".to_owned()))?;
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

    /// Stops listening, lets running calls end, and closes the connections. Later calls are `Unavailable`.
    pub async fn close(&self) {
        self.listener.stop();
        self.pool.close().await;
    }

    /// Runs one call for no longer than the call timeout.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(StoreError::Unavailable(format!("no answer in {:?}", self.call_timeout))),
        }
    }
}

/// Begins a transaction. See [`to_its_begin`].
async fn begin_transaction(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    to_its_begin(async move { pool.begin().await }).await
}

/// Begins a transaction for several queries that have to see the same moment.
async fn begin_snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    to_its_begin(async move { pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await })
        .await
}

/// Begins a transaction in a task that goes on if the call is given up meanwhile. Otherwise sqlx 0.9 would put the connection
/// back into the pool with a transaction of which it knows nothing: what is written through it then is not committed.
async fn to_its_begin(
    begin: impl Future<Output = Result<Transaction<'static, Postgres>, sqlx::Error>> + Send + 'static,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    // Whoever waits for the task has not given up, so that only the end of the runtime ends it early.
    tokio::spawn(begin).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
