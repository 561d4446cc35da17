//! What callers see while the database is away, and afterwards.
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
    conformance::sample::{LONG, begun, sealed, tenant, upload, write_with_jobs},
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
async fn a_server_that_crashes_is_unavailable_and_works_again_when_it_is_back() {
    let server = Postgres::start();
    let store = connect(&server.create_database()).await;
    let before = write_with_jobs(&store, vec![upload()]).await;
    let during = begun();
    store.begin(&during).await.unwrap();

    server.stop_immediately();
    let sealed =
        FinalizedRecording { recording: sealed(&during), jobs: vec![upload()], renditions: Vec::new() };
    assert_unavailable(&store.ping().await);
    assert_unavailable(&store.begin(&begun()).await);
    assert_unavailable(&store.finalize(&sealed).await);
    assert_unavailable(&store.recording(&tenant(), before.id).await);
    assert_unavailable(&store.lease(&NodeId::default(), JobKind::ALL, LONG).await);

    server.start_again();
    assert_eq!(store.finalize(&sealed).await.unwrap(), FinalizeOutcome::Written);
    assert_eq!(store.recording(&tenant(), during.id).await.unwrap(), sealed.recording);
    assert_eq!(store.recording(&tenant(), before.id).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_repeated_through_a_crash_is_written_once() {
    let server = Arc::new(Postgres::start());
    let store = Arc::new(connect(&server.create_database()).await);
    let crashed = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..8).map(|_| tokio::spawn(seal_until(Arc::clone(&store), Arc::clone(&crashed)))).collect();
    let restarting = Arc::clone(&server);
    tokio::task::spawn_blocking(move || {
        restarting.stop_immediately();
        restarting.start_again();
    })
    .await
    .unwrap();
    crashed.store(true, Ordering::SeqCst);
    let mut broken_calls = 0;
    for writer in writers {
        let (recordings, broken) = writer.await.unwrap();
        broken_calls += broken;
        for recording in recordings {
            assert_eq!(store.recording(&tenant(), recording.id).await.unwrap(), recording);
            assert_eq!(store.jobs_of(recording.id).await.unwrap().len(), 1);
        }
    }
    assert!(broken_calls > 0, "no call was under way when the server crashed");
}

/// Seals recordings one after the other, each until it is done, and ends with one that begins after the crash.
/// Returns them, and how many calls broke.
async fn seal_until(store: Arc<PostgresStore>, crashed: Arc<AtomicBool>) -> (Vec<Recording>, usize) {
    let (mut written, mut broken) = (Vec::new(), 0);
    loop {
        let last = crashed.load(Ordering::SeqCst);
        let sealed =
            FinalizedRecording { recording: sealed(&begun()), jobs: vec![upload()], renditions: Vec::new() };
        while let Err(error) = store.finalize(&sealed).await {
            assert!(error.is_transient(), "{error:?}");
            broken += 1;
        }
        written.push(sealed.recording);
        if last {
            return (written, broken);
        }
    }
}

#[tokio::test]
async fn workers_are_woken_again_after_the_server_was_away() {
    let server = Postgres::start();
    let store = connect(&server.create_database()).await;
    server.stop_immediately();
    server.start_again();
    // Jobs that come while nobody listens are found when the store listens again, long before the wait is over.
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
