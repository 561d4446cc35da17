//! [`Store`](store::Store) on SQLite, the embedded default: one file, opened by one node.
//!
//! SQLite permits one writer at a time. So one connection writes, and calls wait for it in order; other connections read
//! beside it (write-ahead log). A commit is durable when the call returns.
//!
//! `store_impl` shows which query each method runs; the queries are in the module of their table. Each module has a twin
//! in `store-postgres`. The twins differ in these points, and in those that a comment beside the query names:
//!
//! - Time. Leases end and jobs become due by this machine's clock, which the queries get as a parameter.
//! - Locks. With one writer, a transaction that began with `BEGIN IMMEDIATE` is alone: no `FOR UPDATE`, no order of
//!   locks, and a row that was read can be changed afterwards.
//! - Notifications. SQLite has no `NOTIFY`. Queries return the ids of what they changed, and `store_impl` reports them to
//!   this process after the commit.
//! - Types. Ids are hyphenated text, times are text in one format, and lists are JSON (`IN (SELECT value FROM
//!   json_each(?1))`). Text sorts like the ids and times that it stands for; `'~'` sorts after all of them.
//!
//! sqlx checks the queries against SQLite when the cache in `.sqlx` is made (`migrations/prepare`), and against that
//! cache in every build.

mod deletion;
mod error;
mod jobs;
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

use std::{
    path::Path,
    time::{Duration, Instant},
};

use model::{JobId, RecordingId};
use sqlx::{
    Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use store::{Change, Changes, JobSignal, StoreError};

pub(crate) use crate::error::Failure;
use crate::error::{is_locked, translate};

/// How long a call waits for the writing connection, and how long SQLite waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between attempts to open a file that another process is opening.
const RETRY: Duration = Duration::from_millis(20);

/// Number of connections that read.
const READERS: u32 = 4;

/// An open SQLite database: one connection that writes, and some that read.
///
/// ```
/// use std::time::Duration;
///
/// use model::{JobKind, NodeId};
/// use store::{FinalizedRecording, Store, conformance::sample};
/// use store_sqlite::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// let store = SqliteStore::open(directory.path().join("recorder.db")).await?;
/// store.migrate().await?;
///
/// // A session begins. When it has ended, its recording and its upload job are committed together.
/// let live = sample::begun();
/// store.begin(&live).await?;
/// let recording = sample::finalized(&live);
/// store.finalize(&FinalizedRecording { recording, jobs: vec![sample::upload()], renditions: vec![] }).await?;
///
/// // A worker leases the job.
/// let node = NodeId::default();
/// let leased = store.lease(&node, &[JobKind::Upload], Duration::from_secs(60)).await?.unwrap();
/// assert_eq!(leased.job.recording, live.id);
/// # Ok(())
/// # }
/// ```
///
/// Dropping it closes the file without waiting for running calls; [`close`](Self::close) waits.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    signal: JobSignal,
    changes: Changes,
}

impl SqliteStore {
    /// Opens the file, or creates it in an existing directory.
    ///
    /// # Errors
    /// `Unavailable` if the file can't be opened, `Internal` if it is not an SQLite database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool =
            || SqlitePoolOptions::new().acquire_timeout(BUSY_TIMEOUT).max_lifetime(None).idle_timeout(None);
        let writer = pool().after_release(|connection, _| Box::pin(is_sound(connection))).max_connections(1);
        let begun = Instant::now();
        let writer = loop {
            // SQLite does not wait for its busy time-out when two processes switch a file to the write-ahead log.
            match writer.clone().connect_with(options.clone()).await {
                Err(error) if is_locked(&error) && begun.elapsed() < BUSY_TIMEOUT => {}
                opened => break opened.map_err(translate)?,
            }
            tokio::time::sleep(RETRY).await;
        };
        let readers = pool().max_connections(READERS).connect_lazy_with(options);
        Ok(Self { writer, readers, signal: JobSignal::default(), changes: Changes::default() })
    }

    /// Waits for running calls and closes the file. Later calls return `Unavailable`.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl SqliteStore {
    /// Reports that a recording has changed, and wakes the workers: it may have new jobs.
    fn report_changed(&self, recording: RecordingId) {
        self.changes.publish(Change::Recording(recording));
        self.signal.notify();
    }

    /// Reports to their workers that these jobs were cancelled.
    fn report_cancelled(&self, jobs: Vec<JobId>) {
        jobs.into_iter().for_each(|job| self.changes.publish(Change::Cancelled(job)));
    }
}

/// Whether a connection can be used again. SQLite itself rolls a transaction back if the disk is full or fails
/// (sqlite.org/lang_transaction.html §2.3). sqlx does not notice: its own rollback fails, and it refuses every later
/// transaction.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // sqlx may have a rollback queued; the ping is answered after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Begins a transaction that may write from its beginning. One that begins as a reader can fail at its first write
/// (SQLITE_BUSY_SNAPSHOT).
async fn begin_write(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_sqlite_rolled_back_does_not_block_later_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("recorder.db")).await.unwrap();
        for _ in 0..2 {
            let mut transaction = begin_write(&store.writer).await.unwrap();
            // SQLite does this when the disk is full.
            sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
        }
        begin_write(&store.writer).await.unwrap().commit().await.unwrap();
    }
}
