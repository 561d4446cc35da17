//! Migrates the file's tables to this version.

use sqlx::{
    SqliteConnection,
    migrate::{Migrate as _, MigrateError, Migrator},
};
use store::StoreError;
use tracing::info;

use crate::{Failure, SqliteStore, begin_write, error};

static MIGRATOR: Migrator = sqlx::migrate!("../../../migrations/sqlite");

impl SqliteStore {
    /// Applies the pending migrations in one transaction, and returns their versions. Processes that open the file
    /// together wait for each other.
    ///
    /// # Errors
    /// `Internal` if the file was migrated by a later version, or its tables were changed by hand; `Unavailable`.
    pub async fn migrate(&self) -> Result<Vec<i64>, StoreError> {
        let mut transaction = begin_write(&self.writer).await.map_err(error::translate)?;
        let pending = pending(&mut transaction).await?;
        MIGRATOR.run_direct(None, &mut *transaction, false).await.map_err(translate)?;
        transaction.commit().await.map_err(error::translate)?;
        for version in &pending {
            info!(version, "migration applied");
        }
        Ok(pending)
    }

    /// The versions of the pending migrations.
    ///
    /// # Errors
    /// `Internal` if the file was migrated by a later version; `Unavailable`.
    pub async fn pending(&self) -> Result<Vec<i64>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(error::translate)?;
        Ok(pending(&mut connection).await?)
    }
}

async fn pending(connection: &mut SqliteConnection) -> Result<Vec<i64>, Failure> {
    let exists = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations') AS "exists!: bool""#
    )
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
}

fn translate(failure: MigrateError) -> StoreError {
    match failure {
        MigrateError::Execute(error) => error::translate(error),
        MigrateError::ExecuteMigration(error, version) => match error::translate(error) {
            StoreError::Internal(text) => StoreError::Internal(format!("migration {version}: {text}")),
            other => other,
        },
        MigrateError::VersionMissing(version) => StoreError::Internal(format!(
            "the database has migration {version}, which this version does not know: a later version migrated it"
        )),
        other => StoreError::Internal(other.to_string()),
    }
}
