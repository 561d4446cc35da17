//! The store on SQLite, the embedded default: one file, in the process.
//!
//! One connection writes, since SQLite lets one write at a time: calls queue for it in order. Others read beside it
//! (write-ahead log). A commit is on the disk when the call returns. Leases end by this machine's clock.
//!
//! Queries are checked against SQLite when the cache in `.sqlx` is made (`migrations/prepare`), and against that
//! cache by every build.

mod deletion;
mod error;
mod jobs;
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

/// How long a call waits for its turn to write, and how long SQLite waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries to open a file that another process is opening.
const RETRY: Duration = Duration::from_millis(20);

/// Connections that read.
const READERS: u32 = 4;

/// The store on SQLite.
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
    /// Opens the file, or makes it; its folder has to be there.
    ///
    /// # Errors
    /// `Unavailable` if the file can't be opened, `Internal` if it is no SQLite database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool =
            || SqlitePoolOptions::new().acquire_timeout(PATIENCE).max_lifetime(None).idle_timeout(None);
        let writer = pool().after_release(|connection, _| Box::pin(is_sound(connection))).max_connections(1);
        let begun = Instant::now();
        let writer = loop {
            // SQLite itself doesn't wait when two switch one file to the write-ahead log at the same time.
            match writer.clone().connect_with(options.clone()).await {
                Err(error) if is_locked(&error) && begun.elapsed() < PATIENCE => {}
                opened => break opened.map_err(translate)?,
            }
            tokio::time::sleep(RETRY).await;
        };
        let readers = pool().max_connections(READERS).connect_lazy_with(options);
        Ok(Self { writer, readers, signal: JobSignal::default(), changes: Changes::default() })
    }

    /// Lets running calls end and closes the file. Later calls are `Unavailable`.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl SqliteStore {
    /// Tells of a recording that has changed, and wakes the workers: it may have new jobs.
    fn changed(&self, recording: RecordingId) {
        self.changes.publish(Change::Recording(recording));
        self.signal.notify();
    }

    /// Tells whoever runs these jobs that they are no longer theirs.
    fn cancelled(&self, jobs: Vec<JobId>) {
        jobs.into_iter().for_each(|job| self.changes.publish(Change::Cancelled(job)));
    }
}

/// Whether a connection can go on. SQLite itself ends a transaction that fails because the disk is full or fails
/// (sqlite.org/lang_transaction.html §2.3), which its client does not notice: it rolls back what is not there, and refuses
/// every transaction after that.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A rollback may still be on its way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// A transaction that has the right to write from its begin. One that asks for it later can be refused.
async fn begin_write(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_transaction_that_sqlite_has_ended_by_itself_there_can_be_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("recorder.db")).await.unwrap();
        for _ in 0..2 {
            let mut transaction = begin_write(&store.writer).await.unwrap();
            // As SQLite does it when the disk is full.
            sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
        }
        begin_write(&store.writer).await.unwrap().commit().await.unwrap();
    }
}
