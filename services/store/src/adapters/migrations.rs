use std::{borrow::Cow, path::Path};

use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};

use ery_group_commit::FileKey;

use crate::error::FileError;

/// What is applied to a file, in order: version, name, statements. Never edited once released.
pub(crate) type Migrations = &'static [(i64, &'static str, &'static str)];

pub(crate) const GLOBAL: Migrations =
    &[(1, "first", include_str!("../../../../migrations/global/0001_first.sql"))];

pub(crate) const SHARD: Migrations = &[
    (1, "first", include_str!("../../../../migrations/shard/0001_first.sql")),
    (2, "index_in_groups", include_str!("../../../../migrations/shard/0002_index_in_groups.sql")),
    (3, "retries_and_gaps", include_str!("../../../../migrations/shard/0003_retries_and_gaps.sql")),
    (4, "read_back", include_str!("../../../../migrations/shard/0004_read_back.sql")),
    (5, "approvals", include_str!("../../../../migrations/shard/0005_approvals.sql")),
    (
        6,
        "scheduled_actions",
        include_str!("../../../../migrations/shard/0006_scheduled_actions.sql"),
    ),
    (7, "mcp", include_str!("../../../../migrations/shard/0007_mcp.sql")),
    (8, "direct_channels", include_str!("../../../../migrations/shard/0008_direct_channels.sql")),
];

/// Returns how sqlx opens a file that exists.
pub(crate) fn connect_options(path: &Path, key: Option<&FileKey>) -> SqliteConnectOptions {
    // Statements are not logged: the first of them gives the key.
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    match key {
        Some(key) => options.pragma("key", format!("\"{}\"", key.pragma())),
        None => options,
    }
}

/// Brings the tables of a file up to date, each migration in one transaction, and returns the
/// connection that did it.
///
/// A file with a migration that this version does not know, or knows otherwise, is refused.
pub(crate) async fn migrate(
    path: &Path,
    key: Option<&FileKey>,
    migrations: Migrations,
) -> Result<SqliteConnection, FileError> {
    let mut connection = SqliteConnection::connect_with(&connect_options(path, key))
        .await
        .map_err(|source| FileError::Connect { path: path.to_owned(), source })?;
    let migrations = migrations
        .iter()
        .map(|&(version, name, statements)| {
            Migration::new(
                version,
                Cow::Borrowed(name),
                MigrationType::Simple,
                statements.into_sql_str(),
                false,
            )
        })
        .collect();
    let migrated =
        Migrator::with_migrations(migrations).run_direct(None, &mut connection, false).await;
    match migrated {
        Ok(()) => Ok(connection),
        Err(MigrateError::VersionMissing(version)) => {
            Err(FileError::Newer { path: path.to_owned(), version })
        }
        Err(MigrateError::VersionMismatch(version)) => {
            Err(FileError::OtherMigration { path: path.to_owned(), version })
        }
        Err(source) => Err(FileError::Migrate { path: path.to_owned(), source }),
    }
}

/// As [`migrate`], on a thread that may block.
pub(crate) fn migrate_blocking(
    path: &Path,
    key: Option<&FileKey>,
    migrations: Migrations,
) -> Result<(), FileError> {
    let migrated = async {
        let connection = migrate(path, key, migrations).await?;
        connection
            .close()
            .await
            .map_err(|source| FileError::Connect { path: path.to_owned(), source })
    };
    tokio::runtime::Handle::current().block_on(migrated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for migrations in [GLOBAL, SHARD] {
            for (index, (version, name, statements)) in (1_i64..).zip(migrations) {
                assert_eq!(index, *version, "{name}");
                assert!(!statements.trim().is_empty(), "{name}");
            }
        }
    }

    const OLD: Migrations = &[(1, "first", "CREATE TABLE numbers (number INTEGER) STRICT;")];
    const NEW: Migrations = &[
        OLD[0],
        (
            2,
            "names",
            "ALTER TABLE numbers ADD COLUMN name TEXT; INSERT INTO numbers VALUES (7, 'seven');",
        ),
    ];
    const EDITED: Migrations = &[(1, "first", "CREATE TABLE numbers (number TEXT) STRICT;")];

    async fn apply(path: &Path, migrations: Migrations) -> Result<(), FileError> {
        drop(ery_group_commit::open(path, None).unwrap());
        migrate(path, None, migrations).await?.close().await.unwrap();
        Ok(())
    }

    #[tokio::test]
    async fn new_migrations_are_applied_when_a_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.db");
        apply(&path, OLD).await.unwrap();
        apply(&path, NEW).await.unwrap();
        apply(&path, NEW).await.unwrap();
        let connection = ery_group_commit::open(&path, None).unwrap();
        let names: Vec<String> = connection
            .prepare("SELECT name FROM numbers")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(names, ["seven"]);
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.db");
        apply(&path, NEW).await.unwrap();
        let refused = apply(&path, OLD).await.unwrap_err();
        assert!(matches!(refused, FileError::Newer { version: 2, .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_migration_edited_after_its_release_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.db");
        apply(&path, OLD).await.unwrap();
        let refused = apply(&path, EDITED).await.unwrap_err();
        assert!(matches!(refused, FileError::OtherMigration { version: 1, .. }), "{refused}");
    }
}
