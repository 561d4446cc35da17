//! The conformance suite on SQLite.
#![allow(clippy::unwrap_used, reason = "panicking is how a test fails")]

use std::ops::Deref;

use store_sqlite::SqliteStore;
use tempfile::TempDir;

struct Fresh {
    store: SqliteStore,
    _folder: TempDir,
}

impl Deref for Fresh {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

async fn fresh_store() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("recorder.db")).await.unwrap();
    store.migrate().await.unwrap();
    Fresh { store, _folder: folder }
}

store::conformance_suite!(fresh_store());
