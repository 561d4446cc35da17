//! How to reach the database.

use std::{fmt, time::Duration};

/// How to reach the database, and how long to wait for it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=verify-full…`; shown as `***`, since it may hold a password.
    pub url: String,
    /// Connections at most; one more listens for jobs.
    pub max_connections: u32,
    /// How long a call waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a call takes at most, the wait for a connection included.
    pub call_timeout: Duration,
}

impl PostgresConfig {
    /// The database at `url`, with defaults for the rest.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(15),
        }
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("url", &"***")
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("call_timeout", &self.call_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_is_printed_shows_no_password() {
        let config = PostgresConfig::new("postgres://app:hunter2@db/rec");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
