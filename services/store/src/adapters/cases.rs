//! Moderation acts that were carried out, as the log has them.

use sqlx::{SqlitePool, query};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;

use crate::{
    adapters::{
        columns::{self, Columns as _},
        read::{execution_columns, execution_row},
    },
    domain::Execution,
    error::StoreError,
};

/// Which acts are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) guild: Id<GuildMarker>,
    /// To whom it was done, alone or among several.
    pub(crate) target: Option<Id<UserMarker>>,
    /// One alone, by its number.
    pub(crate) case: Option<i64>,
    /// Only those with lower numbers.
    pub(crate) before: Option<i64>,
    pub(crate) limit: u32,
}

/// A moderation act with the execution that carried it out.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: i64,
    pub(crate) target: Option<u64>,
    pub(crate) at: UnixMillis,
    pub(crate) execution: Execution,
}

/// Returns acts of a guild, the newest first.
pub(crate) async fn list(readers: &SqlitePool, wanted: Wanted) -> Result<Vec<Case>, StoreError> {
    let rows = query(concat!(
        "SELECT ",
        execution_columns!(),
        ", l.moderation_log_id, l.target_user_id, l.at_ms
          FROM moderation_logs AS l INDEXED BY moderation_logs_of_target
          JOIN tool_executions AS e ON e.execution_id = l.execution_id
          WHERE l.guild_id = ?1 AND (?2 IS NULL OR l.target_user_id = ?2
                  OR (l.target_user_id IS NULL AND EXISTS (SELECT 1 FROM json_each(
                      CASE WHEN json_valid(e.result) THEN e.result END, '$.banned') AS banned
                      WHERE banned.value = CAST(?2 AS TEXT))))
              AND (?3 IS NULL OR l.moderation_log_id = ?3)
              AND (?4 IS NULL OR l.moderation_log_id < ?4)
          ORDER BY l.moderation_log_id DESC LIMIT ?5"
    ))
    .bind(columns::id(wanted.guild))
    .bind(wanted.target.map(columns::id))
    .bind(wanted.case)
    .bind(wanted.before)
    .bind(wanted.limit)
    .fetch_all(readers)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Case {
                id: row.integer(30)?,
                target: row.integer_or_null(31)?.map(i64::cast_unsigned),
                at: row.millis(32)?,
                execution: execution_row(row)?,
            })
        })
        .collect()
}
