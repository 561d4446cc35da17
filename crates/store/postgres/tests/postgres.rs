//! Tests of Postgres only: configuration, migrations by several nodes, rows of later versions.
#![allow(clippy::unwrap_used, reason = "panicking is how a test fails")]

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::{
    Store as _, StoreError,
    conformance::sample::{LONG, begun, node, tenant, upload, write_with_jobs},
};
use store_postgres::{PostgresConfig, PostgresStore};
use testkit::servers::postgres::Postgres;

async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(&PostgresConfig::new(url)).await.unwrap()
}

async fn execute(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn nodes_that_start_together_migrate_once() {
    let url = Postgres::shared().create_database();
    let (a, b, c) = tokio::join!(connect(&url), connect(&url), connect(&url));
    assert_eq!(a.pending().await.unwrap(), [1, 2, 3, 4, 5, 6]);
    let (x, y, z) = tokio::join!(a.migrate(), b.migrate(), c.migrate());
    for result in [x, y, z] {
        result.unwrap();
    }
    assert!(a.pending().await.unwrap().is_empty());
    assert!(a.migrate().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let url = Postgres::shared().create_database();
    let store = connect(&url).await;
    store.migrate().await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'later', true, '', 0)";
    execute(&url, later.to_owned()).await;
    for error in [store.migrate().await.unwrap_err(), store.pending().await.unwrap_err()] {
        assert!(error.to_string().contains("a later version migrated it"), "{error}");
    }
}

#[tokio::test]
async fn a_failed_migration_releases_its_lock() {
    let url = Postgres::shared().create_database();
    execute(&url, "CREATE TABLE tracks (unexpected int)".to_owned()).await;
    let store = connect(&url).await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Internal(_)) && error.to_string().contains("migration 1"), "{error}");
    execute(&url, "DROP TABLE tracks".to_owned()).await;
    let other = connect(&url).await;
    let migrated =
        tokio::time::timeout(Duration::from_secs(20), other.migrate()).await.expect("the lock is released");
    assert_eq!(migrated.unwrap(), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_codec_of_a_later_version_is_an_unreadable_row() {
    let url = Postgres::shared().create_database();
    let store = connect(&url).await;
    store.migrate().await.unwrap();
    let recording = write_with_jobs(&store, Vec::new()).await;
    execute(&url, "UPDATE tracks SET codec = 'AV2'".to_owned()).await;
    let read = store.recording(&tenant(), recording.id).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
}

#[tokio::test]
async fn an_unknown_state_is_refused_by_the_database() {
    let url = Postgres::shared().create_database();
    connect(&url).await.migrate().await.unwrap();
    for insert in [
        "INSERT INTO jobs (id, recording, tenant, kind, state, run_at)
         VALUES (gen_random_uuid(), gen_random_uuid(), 't', 'UPLOAD', 'LOST', now())",
        "INSERT INTO recordings (id, tenant, name, correlation_id, channel, source, node, state, started_at, duration_ns,
         bytes) VALUES (gen_random_uuid(), 't', '', '', 'CALL', 'WEBRTC', 'a', 'LOST', now(), 0, 0)",
    ] {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let error = sqlx::query(insert).execute(&mut connection).await.unwrap_err();
        assert!(error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_check_violation), "{error}");
    }
}

#[tokio::test]
async fn the_password_is_never_printed() {
    let server = Postgres::shared().url();
    let address = server.trim_start_matches("postgres://app@");
    let store = connect(&format!("postgres://app:hunter2@{address}")).await;
    assert!(!format!("{store:?}").contains("hunter2"));
    for url in [
        format!("postgres://app:hunter2@{address}-missing"),
        "postgres://app:hunter2@127.0.0.1:1/postgres".to_owned(),
        "postgres://app:hunter2@127.0.0.1:99999/postgres".to_owned(),
        "postgres://app:hunter2@127.0.0.1/postgres?sslmode=hunter2".to_owned(),
        "hunter2".to_owned(),
    ] {
        let mut config = PostgresConfig::new(&url);
        config.acquire_timeout = Duration::from_millis(200);
        let error = PostgresStore::connect(&config).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_call_without_an_answer_times_out_and_later_calls_succeed() {
    let url = Postgres::shared().create_database();
    let mut config = PostgresConfig::new(&url);
    config.call_timeout = Duration::from_millis(300);
    let store = PostgresStore::connect(&config).await.unwrap();
    store.migrate().await.unwrap();
    let recording = write_with_jobs(&store, vec![upload()]).await;

    let mut blocker = PgConnection::connect(&url).await.unwrap();
    let mut transaction = blocker.begin().await.unwrap();
    sqlx::query("LOCK TABLE recordings IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await.unwrap();
    let read = store.recording(&tenant(), recording.id).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    transaction.rollback().await.unwrap();
    assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
}

#[tokio::test]
async fn a_job_that_one_node_inserts_wakes_another() {
    let url = Postgres::shared().create_database();
    let (a, b) = tokio::join!(connect(&url), connect(&url));
    a.migrate().await.unwrap();
    let work = async {
        loop {
            if let Some(leased) = b.lease(&node("b"), model::JobKind::ALL, LONG).await.unwrap() {
                return leased.job.recording;
            }
            b.wait_for_jobs(LONG).await;
        }
    };
    let insert = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        write_with_jobs(&a, vec![upload()]).await.id
    };
    let both = async { tokio::join!(work, insert) };
    let (leased, inserted) = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert_eq!(leased, inserted);
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let store = connect(&Postgres::shared().create_database()).await;
    store.migrate().await.unwrap();
    store.close().await;
    let jobs = store.count_jobs().await;
    assert!(matches!(jobs, Err(StoreError::Unavailable(_))), "{jobs:?}");
    // After the first look again, a worker that waits does not spin on errors.
    store.wait_for_jobs(Duration::from_millis(150)).await;
    let wait = tokio::time::timeout(Duration::from_millis(100), store.wait_for_jobs(LONG)).await;
    assert!(wait.is_err());
}

/// Yields to other tasks `times` times.
async fn yield_times(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_moment_leaves_no_transaction_open() {
    let url = Postgres::shared().create_database();
    let config = PostgresConfig { max_connections: 1, ..PostgresConfig::new(&url) };
    let store = PostgresStore::connect(&config).await.unwrap();
    store.migrate().await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut dropped = 0;
    for (round, times) in (0..100).cycle().take(500).enumerate() {
        let recording = begun();
        tokio::select! {
            biased;
            written = store.begin(&recording) => written.unwrap(),
            () = yield_times(times) => dropped += 1,
        }
        // A write inside a transaction that was left open would not be visible to another connection.
        let seen = node(&format!("node-{round}"));
        store.heartbeat(&seen, "localhost:1", false).await.unwrap();
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM nodes WHERE id = $1");
        let count = count.bind(seen.as_str()).fetch_one(&mut other).await.unwrap();
        assert_eq!(count, 1, "dropped after {times} yields");
    }
    assert!(dropped > 10, "{dropped}");
}
