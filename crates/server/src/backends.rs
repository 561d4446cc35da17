//! Opens the database and the object store that the configuration names.

use std::{num::NonZeroU64, sync::Arc};

use blob::{AccessKey, BlobStore, ChecksumMode, LocalDir, S3, S3Config};
use store::{Store, StoreError};
use store_postgres::{PostgresConfig, PostgresStore};
use store_sqlite::SqliteStore;

use crate::{
    config::{BlobConfig, Config, StoreUrl},
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

/// Opens the object store.
///
/// # Errors
/// [`StartError::Blob`].
pub async fn open_blobs(config: &Config) -> Result<Arc<dyn BlobStore>, StartError> {
    match config.blob() {
        BlobConfig::Local(directory) => Ok(Arc::new(LocalDir::open(&directory)?)),
        BlobConfig::S3 { bucket, credentials, checksum } => {
            let s3 = &config.blob.s3;
            let access_key = credentials.map(|(id, secret)| AccessKey {
                id: id.reveal().to_owned(),
                secret: blob::Secret::new(secret.reveal()),
                session_token: None,
            });
            let settings = S3Config {
                endpoint: s3.endpoint.clone(),
                path_style: s3.path_style,
                access_key,
                checksums: if checksum { ChecksumMode::WhenSupported } else { ChecksumMode::WhenRequired },
                part_bytes: s3.part_bytes.0,
                bytes_a_second: NonZeroU64::new(s3.bytes_per_second.0),
                ..S3Config::new(bucket, s3.region.clone())
            };
            Ok(Arc::new(S3::connect(&settings).await?))
        }
    }
}
