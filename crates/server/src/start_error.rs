//! Why the recorder does not start.

use std::io;

use store::StoreError;

use crate::config::{Config, Origin};

/// Why the recorder does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured value can't be used on this machine. The operator must change it.
    #[error("{key} ({origin}): {problem}")]
    Config {
        /// The key.
        key: &'static str,
        /// Where it was set.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
    /// A directory or file can't be used.
    #[error("{what}: {source}")]
    Io {
        /// The directory or file.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The database can't be used.
    #[error("the database {url}: {error}")]
    Store {
        /// The database's URL without secrets.
        url: String,
        /// The cause.
        error: StoreError,
    },
    /// The database has pending migrations, and `store.auto_migrate` is off.
    #[error("the database {url} lacks migrations {pending:?}: run `webrtc-recorder migrate`")]
    Pending {
        /// The database's URL without secrets.
        url: String,
        /// The pending versions.
        pending: Vec<i64>,
    },
    /// The object store can't be used.
    #[error("the object store: {0}")]
    Blob(#[from] blob::BlobError),
}

impl StartError {
    pub(crate) fn config(config: &Config, key: &'static str, problem: String) -> Self {
        Self::Config { key, origin: config.origin(key), problem }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
