//! Calls while the database is down, and after its restart.
#![allow(clippy::unwrap_used, reason = "panicking is how a test fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use model::{JobKind, NodeId, Recording};
use store::{
    FinalizeOutcome, FinalizedRecording, Store as _, StoreError,
    conformance::sample::{LONG, begun, finalized, tenant, upload, write_with_jobs},
};
use store_postgres::{PostgresConfig, PostgresStore};
use testkit::servers::postgres::Postgres;

async fn connect(url: &str) -> PostgresStore {
    let mut config = PostgresConfig::new(url);
    config.acquire_timeout = Duration::from_millis(500);
    let store = PostgresStore::connect(&config).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn assert_unavailable<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
}

#[tokio::test]
async fn calls_are_unavailable_while_the_server_is_down_and_succeed_after_its_restart() {
    let server = Postgres::start();
    let store = connect(&server.create_database()).await;
    let before = write_with_jobs(&store, vec![upload()]).await;
    let during = begun();
    store.begin(&during).await.unwrap();

    server.stop_immediately();
    let finalized =
        FinalizedRecording { recording: finalized(&during), jobs: vec![upload()], renditions: Vec::new() };
    assert_unavailable(&store.ping().await);
    assert_unavailable(&store.begin(&begun()).await);
    assert_unavailable(&store.finalize(&finalized).await);
    assert_unavailable(&store.recording(&tenant(), before.id).await);
    assert_unavailable(&store.lease(&NodeId::default(), JobKind::ALL, LONG).await);

    server.start_again();
    assert_eq!(store.finalize(&finalized).await.unwrap(), FinalizeOutcome::Written);
    assert_eq!(store.recording(&tenant(), during.id).await.unwrap(), finalized.recording);
    assert_eq!(store.recording(&tenant(), before.id).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finalize_that_is_repeated_during_a_crash_is_written_once() {
    let server = Arc::new(Postgres::start());
    let store = Arc::new(connect(&server.create_database()).await);
    let crashed = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..8).map(|_| tokio::spawn(finalize_until(Arc::clone(&store), Arc::clone(&crashed)))).collect();
    let restarting = Arc::clone(&server);
    tokio::task::spawn_blocking(move || {
        restarting.stop_immediately();
        restarting.start_again();
    })
    .await
    .unwrap();
    crashed.store(true, Ordering::SeqCst);
    let mut failed_calls = 0;
    for writer in writers {
        let (recordings, failed) = writer.await.unwrap();
        failed_calls += failed;
        for recording in recordings {
            assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
            assert_eq!(store.jobs_of(recording.id).await.unwrap().len(), 1);
        }
    }
    assert!(failed_calls > 0, "no call was running when the server crashed");
}

/// Finalizes one recording after the other, and repeats each call until it succeeds. Ends with a recording that begins
/// after the crash. Returns the recordings and the number of failed calls.
async fn finalize_until(store: Arc<PostgresStore>, crashed: Arc<AtomicBool>) -> (Vec<Recording>, usize) {
    let (mut written, mut failed) = (Vec::new(), 0);
    loop {
        let last = crashed.load(Ordering::SeqCst);
        let finalized = FinalizedRecording {
            recording: finalized(&begun()),
            jobs: vec![upload()],
            renditions: Vec::new(),
        };
        while let Err(error) = store.finalize(&finalized).await {
            assert!(error.is_transient(), "{error:?}");
            failed += 1;
        }
        written.push(finalized.recording);
        if last {
            return (written, failed);
        }
    }
}

#[tokio::test]
async fn workers_are_woken_again_after_a_restart_of_the_server() {
    let server = Postgres::start();
    let store = connect(&server.create_database()).await;
    server.stop_immediately();
    server.start_again();
    // A job that is inserted while LISTEN is interrupted is found when it begins again, long before the wait ends.
    write_with_jobs(&store, vec![upload()]).await;
    let begin = Instant::now();
    loop {
        match store.lease(&NodeId::default(), JobKind::ALL, LONG).await {
            Ok(Some(_)) => break,
            Ok(None) => store.wait_for_jobs(LONG).await,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(30));
}
