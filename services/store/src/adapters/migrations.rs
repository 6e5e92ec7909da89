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

pub(crate) const GLOBAL: Migrations = &[
    (1, "first", include_str!("../../../../migrations/global/0001_first.sql")),
    (2, "privacy", include_str!("../../../../migrations/global/0002_privacy.sql")),
];

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
    (9, "privacy", include_str!("../../../../migrations/shard/0009_privacy.sql")),
    (10, "config", include_str!("../../../../migrations/shard/0010_config.sql")),
    (11, "acts_in_an_hour", include_str!("../../../../migrations/shard/0011_acts_in_an_hour.sql")),
    (12, "traces", include_str!("../../../../migrations/shard/0012_traces.sql")),
    (13, "usage", include_str!("../../../../migrations/shard/0013_usage.sql")),
    (14, "orders", include_str!("../../../../migrations/shard/0014_orders.sql")),
    (15, "summaries", include_str!("../../../../migrations/shard/0015_summaries.sql")),
    (16, "slow_mode", include_str!("../../../../migrations/shard/0016_slow_mode.sql")),
    (17, "provider_keys", include_str!("../../../../migrations/shard/0017_provider_keys.sql")),
    (
        18,
        "deleted_in_slow_mode",
        include_str!("../../../../migrations/shard/0018_deleted_in_slow_mode.sql"),
    ),
    (
        19,
        "deleted_channels",
        include_str!("../../../../migrations/shard/0019_deleted_channels.sql"),
    ),
    (20, "enclosures", include_str!("../../../../migrations/shard/0020_enclosures.sql")),
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

    /// Statements that write a row of each kind that a migration rewrites, and since when they can.
    const ROWS: &[(i64, &str)] = &[
        (
            1,
            "INSERT INTO task_threads (thread_id, guild_id, channel_id, epoch, started_at_ms, outcome)
             VALUES (x'01', 1, 2, 3, 4, 'running')",
        ),
        (
            1,
            "INSERT INTO messages (message_id, guild_id, channel_id, author_id, content, whole_at_ms,
                 is_ingested) VALUES (5, 1, 2, 6, 'hello', 0, 1)",
        ),
        (
            1,
            "INSERT INTO tool_executions (key, guild_id, channel_id, epoch, tool, arguments,
                 arguments_hash, trigger_id, tier, decision, decision_reason, approver_id, is_tainted,
                 is_ordered, model, prompt_version, audit_reason, opened_at_ms, send_by_ms, state,
                 result, rest_status)
             VALUES ('e/1', 1, 2, 3, 'ban_member', '{}', 'ab', 'm.5', 'destructive', 'allow', '', 9, 0,
                 0, '', '', 'spam', 4, 5, 'open', '', 0)",
        ),
        (
            3,
            "INSERT INTO scheduled_tasks (scheduled_task_id, guild_id, channel_id, trigger_id, retry,
                 bot_id, received_at_ms, payload, due_at_ms) VALUES (1, 1, 2, 'ap.a', 0, 8, 4, x'', 9)",
        ),
        (
            5,
            "INSERT INTO approvals (approval_id, guild_id, channel_id, thread_id, key, tool, arguments,
                 hash, asker_id, bot_id, created_at_ms, expires_at_ms, scheduled_task_id)
             VALUES ('a', 1, 2, x'01', 'e/1', 'ban_member', '{}', 'ab', 6, 8, 4, 9, 1)",
        ),
        (
            6,
            "INSERT INTO scheduled_actions (scheduled_action_id, guild_id, channel_id, key, tool,
                 arguments, principal_kind, principal_id, created_at_ms, due_at_ms, state,
                 scheduled_task_id)
             VALUES ('s', 1, 2, 'e/1', 'ban_member', '{}', 'person', '6', 4, 9, 'waiting', 1)",
        ),
    ];

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_of_every_earlier_version_is_brought_up_to_date_with_its_rows() {
        for version in 1..SHARD.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("shard.db");
            apply(&path, &SHARD[..version]).await.unwrap();
            let connection = ery_group_commit::open(&path, None).unwrap();
            let count = |table: &str| -> i64 {
                let statement = format!("SELECT count(*) FROM {table}");
                connection.query_row(&statement, [], |row| row.get(0)).unwrap()
            };
            let since = i64::try_from(version).unwrap();
            for (_, row) in ROWS.iter().filter(|(first, _)| *first <= since) {
                connection.execute(row, []).unwrap_or_else(|error| panic!("{version}: {error}"));
            }
            apply(&path, SHARD).await.unwrap();
            for (table, first) in [("messages", 1), ("tool_executions", 1), ("approvals", 5)] {
                assert_eq!(count(table), i64::from(first <= since), "{table} of version {version}");
            }
            let broken = "pragma_foreign_key_check";
            assert_eq!(count(broken), 0, "version {version}");
            let sound: String =
                connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(sound, "ok", "version {version}");
        }
        for version in 1..GLOBAL.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("global.db");
            apply(&path, &GLOBAL[..version]).await.unwrap();
            apply(&path, GLOBAL).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_audit_changes_by_redaction_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shard.db");
        apply(&path, SHARD).await.unwrap();
        let connection = ery_group_commit::open(&path, None).unwrap();
        for (_, row) in ROWS {
            connection.execute(row, []).unwrap();
        }
        let is_refused = |statement: &str| connection.execute(statement, []).is_err();
        for change in [
            "UPDATE tool_executions SET arguments = '[]'",
            "UPDATE tool_executions SET arguments = ''",
            "UPDATE tool_executions SET arguments = '[]', redacted_at_ms = 9",
            "UPDATE tool_executions SET approver_id = 0",
            "UPDATE tool_executions SET arguments = '', arguments_hash = '', audit_reason = '',
                 decision_reason = '', approver_id = 7, redacted_at_ms = 9",
            "UPDATE tool_executions SET tool = 'kick_member', redacted_at_ms = 9",
            "UPDATE approvals SET arguments = ''",
            "UPDATE approvals SET arguments = '', hash = '', asker_id = 0, redacted_at_ms = 9",
            "DELETE FROM tool_executions",
        ] {
            assert!(is_refused(change), "{change}");
        }
        for redaction in [
            "UPDATE tool_executions SET arguments = '', arguments_hash = '', audit_reason = '',
                 decision_reason = '', approver_id = 0, principal_id = 'forgotten-1',
                 redacted_at_ms = 9",
            "UPDATE approvals SET decision = 'void', decided_at_ms = 9",
            "UPDATE approvals SET arguments = '', hash = '', asker_id = 0, redacted_at_ms = 9",
            "UPDATE scheduled_actions SET state = 'cancelled', ended_at_ms = 9, ended_by = 6",
            "UPDATE scheduled_actions SET arguments = '', ended_by = NULL, redacted_at_ms = 9",
        ] {
            connection
                .execute(redaction, [])
                .unwrap_or_else(|error| panic!("{redaction}: {error}"));
        }
        for change in [
            "UPDATE tool_executions SET redacted_at_ms = NULL",
            "UPDATE tool_executions SET result = 'said again'",
            "UPDATE approvals SET decision = 'approved'",
            "UPDATE scheduled_actions SET state = 'fired'",
        ] {
            assert!(is_refused(change), "{change}");
        }
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

    /// Names the folder to the process that is to be killed.
    const FOLDER: &str = "ERY_STORE_MIGRATED_FOLDER";

    /// How many dead letters there are, which one of the migrations copies.
    const LETTERS: u32 = 20_000;

    fn folder_of_child() -> Option<std::path::PathBuf> {
        std::env::var_os(FOLDER).map(Into::into)
    }

    /// Lets a moment pass at which the process is killed.
    #[expect(
        clippy::disallowed_methods,
        reason = "the moment is random, there is nothing to wait for"
    )]
    fn wait(pause: std::time::Duration) {
        std::thread::sleep(pause);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_migration_that_is_killed_is_done_by_the_next_one_and_loses_nothing() {
        if let Some(folder) = folder_of_child() {
            println!("begins");
            apply(&folder.join("shard.db"), SHARD).await.unwrap();
            println!("has ended");
            return;
        }
        let mut broken_off = 0;
        for kill in 0..12_u64 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("shard.db");
            apply(&path, &SHARD[..2]).await.unwrap();
            let connection = ery_group_commit::open(&path, None).unwrap();
            connection.execute_batch(ROWS[0].1).unwrap();
            let letters = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT ?1)
                 INSERT INTO dead_letters (guild_id, channel_id, trigger_id, received_at_ms,
                     thread_id, reason, at_ms) SELECT 1, 2, 'm.' || n, 3, x'01', 'r' || n, 4 FROM n";
            connection.execute(letters, [LETTERS]).unwrap();
            drop(connection);
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "adapters::migrations::tests::a_migration_that_is_killed_is_done_by_the_next_one_and_loses_nothing",
                    "--exact",
                    "--nocapture",
                ])
                .env(FOLDER, folder.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let out = std::io::BufReader::new(child.stdout.take().unwrap());
            let mut lines = std::io::BufRead::lines(out);
            lines
                .by_ref()
                .find(|line| line.as_ref().unwrap().ends_with("begins"))
                .unwrap()
                .unwrap();
            wait(std::time::Duration::from_millis(kill * 17 % 120));
            child.kill().unwrap();
            child.wait().unwrap();
            if !lines.map_while(Result::ok).any(|line| line.ends_with("has ended")) {
                broken_off += 1;
            }
            apply(&path, SHARD).await.unwrap();
            assert_eq!(
                crate::adapters::maintenance::check(&path, None).unwrap(),
                Vec::<String>::new()
            );
            let connection = ery_group_commit::open(&path, None).unwrap();
            let left: (u32, u32) = connection
                .query_row(
                    "SELECT count(*), count(DISTINCT source_id || reason) FROM dead_letters",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap();
            assert_eq!(left, (LETTERS, LETTERS), "kill {kill}");
        }
        assert!(broken_off > 0);
    }
}
