//! Log events: each query is a span with its ids, under the target `store`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "panicking is how a test fails")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use store::{
    Store as _, StoreError,
    conformance::sample::{begun, node},
};
use store_sqlite::SqliteStore;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::EnvFilter;

/// The log as text.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_query_is_logged_with_its_ids_its_duration_and_its_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("recorder.db")).await.unwrap();
    store.migrate().await.unwrap();
    let (log, recording) = (Log::default(), begun());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("store=debug"))
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    async {
        store.begin(&recording).await.unwrap();
        let missing = store.node(&node("nobody")).await;
        assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    }
    .with_subscriber(subscriber)
    .await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let [begin, missing] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let expected =
        format!("DEBUG db.session.begin{{session_id={}}}: store: query done elapsed=", recording.id);
    assert!(begin.trim_start().starts_with(&expected), "{begin}");
    assert!(missing.contains("db.node.get{node_id=nobody}: store: query failed elapsed="), "{missing}");
    assert!(missing.ends_with("error=node not found"), "{missing}");
}
