//! The conformance suite on Postgres.
#![allow(clippy::unwrap_used, reason = "panicking is how a test fails")]

use store_postgres::{PostgresConfig, PostgresStore};
use testkit::servers::postgres::Postgres;

async fn fresh_store() -> Box<PostgresStore> {
    let url = Postgres::shared().create_database();
    let store = PostgresStore::connect(&PostgresConfig::new(url)).await.unwrap();
    store.migrate().await.unwrap();
    Box::new(store)
}

store::conformance_suite!(fresh_store());
