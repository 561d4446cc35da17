//! Migrates the database's tables to this version.
//!
//! Each migration has its own transaction, because some statements of Postgres need one of their own, and an advisory lock
//! excludes other nodes. SQLite's twin applies all pending migrations in one transaction.

use sqlx::{
    Acquire as _,
    migrate::{Migrate as _, MigrateError, Migrator},
};
use store::{StoreError, query_span};
use tracing::info;

use crate::{Failure, PostgresStore};

static MIGRATOR: Migrator = sqlx::migrate!("../../../migrations/postgres");

impl PostgresStore {
    /// Applies the pending migrations, each in its own transaction, and returns their versions. Nodes that start together
    /// wait for each other. There is no time-out.
    ///
    /// # Errors
    /// `Internal` if the database was migrated by a later version, or tables were changed by hand; `Unavailable`.
    pub async fn migrate(&self) -> Result<Vec<i64>, StoreError> {
        let pending = self.pending().await?;
        // Detached from the pool: if a migration fails, the advisory lock ends with the connection.
        let mut connection = self.pool.acquire().await.map_err(Failure::from)?.detach();
        let unlimited = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
        sqlx::raw_sql(unlimited).execute(&mut connection).await.map_err(Failure::from)?;
        MIGRATOR.run_direct(None, &mut connection, false).await.map_err(translate)?;
        for version in &pending {
            info!(version, "migration applied");
        }
        Ok(pending)
    }

    /// The versions of the pending migrations.
    ///
    /// # Errors
    /// `Internal` if the database was migrated by a later version; `Unavailable`.
    pub async fn pending(&self) -> Result<Vec<i64>, StoreError> {
        self.bounded(query_span!("db.migration.pending"), async {
            let mut connection = self.pool.acquire().await?;
            let connection = connection.acquire().await?;
            let exists =
                sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#)
                    .fetch_one(&mut *connection)
                    .await?;
            let applied = if exists {
                connection.list_applied_migrations(&MIGRATOR.table_name).await.map_err(translate)?
            } else {
                Vec::new()
            };
            let applied: Vec<i64> = applied.iter().map(|migration| migration.version).collect();
            if let Some(unknown) = applied.iter().find(|version| !MIGRATOR.version_exists(**version)) {
                return Err(translate(MigrateError::VersionMissing(*unknown)).into());
            }
            Ok(MIGRATOR.iter().map(|m| m.version).filter(|version| !applied.contains(version)).collect())
        })
        .await
    }
}

fn translate(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => Failure::from(error).into(),
        MigrateError::ExecuteMigration(error, version) => match Failure::from(error).into() {
            StoreError::Internal(text) => StoreError::Internal(format!("migration {version}: {text}")),
            other => other,
        },
        MigrateError::VersionMissing(version) => StoreError::Internal(format!(
            "the database has migration {version}, which this version does not know: a later version migrated it"
        )),
        other => StoreError::Internal(other.to_string()),
    }
}
