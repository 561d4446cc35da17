//! Opens the database that the configuration names.

use std::sync::Arc;

use store::{Store, StoreError};
use store_postgres::{PostgresConfig, PostgresStore};
use store_sqlite::SqliteStore;

use crate::{
    config::{Config, StoreUrl},
    start_error::StartError,
};

/// The database, with its migrations and its close.
pub enum Database {
    /// Postgres.
    Postgres(Arc<PostgresStore>),
    /// SQLite.
    Sqlite(Arc<SqliteStore>),
}

impl Database {
    /// Connects. It applies no migrations.
    ///
    /// # Errors
    /// [`StartError::Store`].
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        let opened = match &config.store.url {
            StoreUrl::Sqlite(path) => SqliteStore::open(path).await.map(|store| Self::Sqlite(store.into())),
            StoreUrl::Postgres(url) => {
                let settings = PostgresConfig {
                    max_connections: config.store.max_connections,
                    ..PostgresConfig::new(url.reveal())
                };
                PostgresStore::connect(&settings).await.map(|store| Self::Postgres(store.into()))
            }
        };
        opened.map_err(|error| StartError::Store { url: config.store.url.redacted(), error })
    }

    /// Applies pending migrations. Returns their versions.
    ///
    /// # Errors
    /// The database fails, or its schema is newer than this program.
    pub async fn migrate(&self) -> Result<Vec<i64>, StoreError> {
        match self {
            Self::Postgres(store) => store.migrate().await,
            Self::Sqlite(store) => store.migrate().await,
        }
    }

    /// Versions of pending migrations.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn pending(&self) -> Result<Vec<i64>, StoreError> {
        match self {
            Self::Postgres(store) => store.pending().await,
            Self::Sqlite(store) => store.pending().await,
        }
    }

    /// The store on this database.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Waits for running queries and closes the connections.
    pub async fn close(&self) {
        match self {
            Self::Postgres(store) => store.close().await,
            Self::Sqlite(store) => store.close().await,
        }
    }
}
