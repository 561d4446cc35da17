//! Concurrent transactions: one waits for the other and then sees its result.
#![allow(clippy::unwrap_used, reason = "panicking is how a test fails")]

use std::{sync::Arc, time::Duration};

use model::{Container, JobKind, Recording, RecordingState};
use sqlx::{AssertSqlSafe, PgConnection, Postgres as Sql, Transaction};
use store::{
    Created, FinalizeOutcome, FinalizedRecording, Store as _, StoreError, Upload,
    conformance::sample::{LONG, begun, finalized, mp3, node, tenant, upload, write_with_jobs},
};
use store_postgres::{PostgresConfig, PostgresStore};
use testkit::servers::postgres::Postgres;
use tokio::task::JoinHandle;

/// How long a call is observed to verify that it waits.
const A_WHILE: Duration = Duration::from_millis(300);

async fn fresh() -> (String, Arc<PostgresStore>) {
    let url = Postgres::shared().create_database();
    let store = PostgresStore::connect(&PostgresConfig::new(&url)).await.unwrap();
    store.migrate().await.unwrap();
    (url, Arc::new(store))
}

/// A recording that node `a` has not finalized, and whose upload another node has completed.
async fn rescued(store: &PostgresStore) -> Recording {
    let (recording, upload) = streaming(store).await;
    assert!(store.rescue(&upload, 5, Some("missing"), &[]).await.unwrap());
    recording
}

async fn streaming(store: &PostgresStore) -> (Recording, Upload) {
    let recording = begun();
    store.begin(&recording).await.unwrap();
    let upload = Upload {
        recording: recording.id,
        node: recording.node.clone(),
        key: Recording::object_key("media", recording.id, recording.started_at, Container::Webm),
        id: "upload".to_owned(),
        container: Container::Webm,
        rescued: false,
    };
    store.begin_upload(&upload).await.unwrap();
    (recording, upload)
}

fn finalize(
    store: &Arc<PostgresStore>,
    begun: &Recording,
) -> JoinHandle<Result<FinalizeOutcome, StoreError>> {
    let (store, recording) = (Arc::clone(store), finalized(begun));
    tokio::spawn(async move {
        let finalized = FinalizedRecording { recording, jobs: vec![upload()], renditions: Vec::new() };
        store.finalize(&finalized).await
    })
}

/// Executes statements of another node in a transaction that it has not committed yet.
async fn uncommitted<'a>(connection: &'a mut PgConnection, statements: &[String]) -> Transaction<'a, Sql> {
    let mut transaction = sqlx::Connection::begin(connection).await.unwrap();
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *transaction).await.unwrap();
    }
    transaction
}

#[tokio::test]
async fn a_finalize_during_a_deletion_does_not_restore_the_recording() {
    let (url, store) = fresh().await;
    let recording = rescued(&store).await;
    let mut other = <PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let delete = format!("UPDATE recordings SET state = 'DELETED' WHERE id = '{}'", recording.id);
    let deletion = uncommitted(&mut other, &[delete]).await;
    let finalize = finalize(&store, &recording);
    tokio::time::sleep(A_WHILE).await;
    assert!(!finalize.is_finished());
    deletion.commit().await.unwrap();
    assert_eq!(finalize.await.unwrap().unwrap(), FinalizeOutcome::AlreadyFinalized);
    let found = store.recording(&tenant(), recording.id).await.unwrap();
    assert_eq!(found.state, RecordingState::Deleted);
}

#[tokio::test]
async fn a_finalize_during_a_rescue_is_written() {
    let (url, store) = fresh().await;
    let (recording, _) = streaming(&store).await;
    let id = recording.id;
    let mut other = <PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let statements = [
        format!("UPDATE sessions SET closed_at = now(), end_reason = 'CRASH' WHERE id = '{id}'"),
        format!("UPDATE uploads SET rescue = 'SEAL' WHERE recording = '{id}'"),
        format!("UPDATE recordings SET state = 'AVAILABLE', error = 'missing' WHERE id = '{id}'"),
    ];
    let rescue = uncommitted(&mut other, &statements).await;
    let finalize = finalize(&store, &recording);
    tokio::time::sleep(A_WHILE).await;
    assert!(!finalize.is_finished());
    rescue.commit().await.unwrap();
    assert_eq!(finalize.await.unwrap().unwrap(), FinalizeOutcome::Written);
    let found = store.recording(&tenant(), id).await.unwrap();
    assert_eq!(
        (found.state, found.error, found.bytes),
        (RecordingState::Processing, None, finalized(&recording).bytes)
    );
    assert!(store.lease(&node("a"), &[JobKind::Upload], LONG).await.unwrap().is_some());
}

/// Postgres would end one of two deadlocked transactions after a second.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_on_one_recording_do_not_deadlock() {
    let (url, store) = fresh().await;
    for _ in 0..40 {
        let recording = write_with_jobs(&*store, vec![upload()]).await;
        let Created { rendition, job } =
            store.create_rendition(&tenant(), recording.id, &mp3(&recording)).await.unwrap();
        let (upload, render, job) = (
            store.lease(&node("a"), &[JobKind::Upload], LONG).await.unwrap().unwrap(),
            store.lease(&node("a"), &[JobKind::Render], LONG).await.unwrap().unwrap(),
            job.unwrap(),
        );
        let done =
            store::JobOutcome::Done { recording_state: Some(RecordingState::Available), next: Vec::new() };
        let parked = store::JobOutcome::Parked { error: "refused".to_owned() };
        let (tenant, mp3) = (tenant(), mp3(&recording));
        let results = tokio::join!(
            async { store.finish(&upload, done).await.err() },
            async { store.finish(&render, parked).await.err() },
            async { store.retry(&tenant, job).await.err() },
            async { store.create_rendition(&tenant, recording.id, &mp3).await.err() },
            async { store.delete_rendition(&tenant, rendition.id, "a").await.err() },
            async { store.delete_recording(&tenant, recording.id, "b").await.err() },
            async { store.cancel(&tenant, job).await.err() },
        );
        let (a, b, c, d, e, f, g) = results;
        for error in [a, b, c, d, e, f, g].into_iter().flatten() {
            assert!(!error.is_transient(), "{error}");
        }
    }
    let mut other = <PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let (deadlocks,): (i64,) = sqlx::query_as(deadlocks).fetch_one(&mut other).await.unwrap();
    assert_eq!(deadlocks, 0);
}
