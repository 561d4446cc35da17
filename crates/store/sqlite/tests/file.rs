//! Tests of SQLite only: the file across restarts and between processes.
#![allow(clippy::unwrap_used, reason = "panicking is how a test fails")]

use std::{path::Path, time::Duration};

use model::{JobKind, RecordingState};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{
    JobOutcome, Store, StoreError,
    conformance::sample::{LONG, begun, node, tenant, upload, write_with_jobs},
};
use store_sqlite::SqliteStore;

async fn open(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn execute(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(10));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_reopened_file_has_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("записи 1.db");
    let store = open(&path).await;
    let recording = write_with_jobs(&store, vec![upload()]).await;
    let live = begun();
    store.begin(&live).await.unwrap();
    let leased = store.lease(&node("a"), JobKind::ALL, LONG).await.unwrap().unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));

    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.pending().await.unwrap().is_empty());
    assert!(store.migrate().await.unwrap().is_empty());
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
    assert_eq!(store.session(&tenant(), live.id.into()).await.unwrap(), (node("a"), None));
    let done = JobOutcome::Done { recording_state: Some(RecordingState::Available), next: Vec::new() };
    store.finish(&leased, done).await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap().state, RecordingState::Available);
}

#[tokio::test]
async fn committed_rows_survive_a_crash_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("recorder.db"), folder.path().join("copy.db"));
    let store = open(&path).await;
    let recording = write_with_jobs(&store, vec![upload()]).await;
    // The files that a process leaves when it dies now: not closed, and the write-ahead log not checkpointed.
    for ending in ["", "-wal"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        std::fs::copy(name(&path), name(&copy)).unwrap();
    }
    let store = SqliteStore::open(&copy).await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_migrate_once_and_share_the_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder.db");
    let (first, second) = tokio::join!(open(&path), open(&path));
    const JOBS: usize = 40;
    let insert = |store| async move {
        for _ in 0..JOBS / 2 {
            write_with_jobs(store, vec![upload()]).await;
        }
    };
    tokio::join!(insert(&first as &dyn Store), insert(&second as &dyn Store));
    let work = |store: &'static str, on| async move {
        let on: &SqliteStore = on;
        let mut taken = Vec::new();
        while let Some(leased) = on.lease(&node(store), JobKind::ALL, LONG).await.unwrap() {
            taken.push(leased.job.id);
        }
        taken
    };
    let (mut taken, others) = tokio::join!(work("a", &first), work("b", &second));
    taken.extend(others);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), JOBS);
}

#[tokio::test]
async fn a_write_waits_for_another_process_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder.db");
    let store = open(&path).await;
    let mut other =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let transaction = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let recording = begun();
    let (begin, ()) = tokio::join!(store.begin(&recording), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Reads are not blocked.
        let read = store.session(&tenant(), recording.id.into()).await;
        assert!(matches!(read, Err(StoreError::NotFound { .. })), "{read:?}");
        transaction.rollback().await.unwrap();
    });
    begin.unwrap();
    assert_eq!(store.session(&tenant(), recording.id.into()).await.unwrap(), (node("a"), None));
}

#[tokio::test]
async fn a_missing_directory_or_a_file_that_is_not_a_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SqliteStore::open(folder.path().join("missing/recorder.db")).await;
    assert!(matches!(missing, Err(StoreError::Unavailable(_))), "{missing:?}");
    let path = folder.path().join("text");
    std::fs::write(&path, "This is text. ".repeat(100)).unwrap();
    let text = SqliteStore::open(&path).await;
    assert!(matches!(text, Err(StoreError::Internal(_))), "{text:?}");
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder.db");
    let store = open(&path).await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'later', true, x'', 0)";
    execute(&path, later).await;
    for error in [store.migrate().await.unwrap_err(), store.pending().await.unwrap_err()] {
        assert!(error.to_string().contains("a later version migrated it"), "{error}");
    }
}

#[tokio::test]
async fn a_codec_of_a_later_version_is_an_unreadable_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder.db");
    let store = open(&path).await;
    let recording = write_with_jobs(&store, Vec::new()).await;
    execute(&path, "UPDATE tracks SET codec = 'AV2'").await;
    let read = store.recording(&tenant(), recording.id).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
}

#[tokio::test]
async fn readers_do_not_block_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder.db");
    let store = open(&path).await;
    let mut reader =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut reader).await.unwrap();
    assert_eq!(mode, "wal");
    let mut transaction = reader.begin().await.unwrap();
    let count = "SELECT count(*) FROM recordings";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *transaction).await.unwrap();
    write_with_jobs(&store, vec![upload()]).await;
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut *transaction).await.unwrap();
    assert_eq!((before, after), (0, 0));
}

/// Yields to other tasks `times` times.
async fn yield_times(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_moment_leaves_no_transaction_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorder.db");
    let (store, other) = (SqliteStore::open(&path).await.unwrap(), SqliteStore::open(&path).await.unwrap());
    store.migrate().await.unwrap();
    let mut dropped = 0;
    for (round, times) in (0..60).cycle().take(300).enumerate() {
        let recording = begun();
        tokio::select! {
            biased;
            written = store.begin(&recording) => written.unwrap(),
            () = yield_times(times) => dropped += 1,
        }
        // A write inside a transaction that was left open would not be visible to another connection.
        let seen = node(&format!("node-{round}"));
        store.heartbeat(&seen, "localhost:1", false).await.unwrap();
        assert!(other.node(&seen).await.is_ok(), "dropped after {times} yields");
    }
    assert!(dropped > 10, "{dropped}");
}

#[tokio::test]
async fn two_processes_can_create_and_migrate_a_file_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..60 {
        let path = folder.path().join(format!("{round}.db"));
        tokio::join!(open(&path), open(&path));
    }
}
