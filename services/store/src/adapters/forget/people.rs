//! Names, credentials, direct messages, and whom the gate remembers; and who is in a file at all.

use std::collections::BTreeSet;

use rusqlite::{Connection, params, types::ValueRef};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use super::{Part, Search, messages};
use crate::{
    adapters::{
        columns::{from_json, json},
        mcp_credentials,
    },
    domain::ChannelState,
    error::StoreError,
};

/// Forgets the person's names, credentials, direct messages and open exchanges.
pub(super) fn forget(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    let connection = search.connection;
    connection
        .prepare_cached(
            "DELETE FROM users WHERE user_id = ?1 AND (?2 IS NULL OR guild_id = ?2)
                 AND first_seen_ms <= ?3",
        )?
        .execute(params![search.user, search.guild, search.until])?;
    credentials(search)?;
    if search.guild.is_none() {
        connection
            .prepare_cached(&format!(
                "DELETE FROM direct_channels WHERE channel_id IN ({})",
                messages::DIRECT
            ))?
            .execute(params![search.who.deletion, search.digits])?;
    }
    exchanges(search)?;
    Ok(Part::End)
}

/// Takes the person's credentials back, and leaves nothing of them.
fn credentials(search: &Search<'_>) -> Result<(), StoreError> {
    let found: Vec<(String, i64)> = search
        .connection
        .prepare_cached(
            "SELECT credential_id, guild_id FROM mcp_credentials
             WHERE user_id = ?1 AND (?2 IS NULL OR guild_id = ?2) AND created_at_ms <= ?3",
        )?
        .query_map(params![search.user, search.guild, search.until], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (credential, guild) in found {
        let guild: Option<Id<GuildMarker>> = Id::new_checked(guild.cast_unsigned());
        if let Some(guild) = guild {
            mcp_credentials::revoke(search.connection, guild, &credential, search.now)?;
        }
        search
            .connection
            .prepare_cached("DELETE FROM mcp_credentials WHERE credential_id = ?1")?
            .execute([credential])?;
    }
    Ok(())
}

/// Takes the person's name from keys that they set; the keys are their guilds'.
pub(super) fn keys(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    search
        .connection
        .prepare_cached(
            "UPDATE provider_keys SET set_by = 0
             WHERE set_by = ?1 AND (?2 IS NULL OR guild_id = ?2) AND set_at_ms <= ?3",
        )?
        .execute(params![search.user, search.guild, search.until])?;
    Ok(Part::End)
}

fn exchanges(search: &Search<'_>) -> Result<(), StoreError> {
    let found: Vec<(i64, i64, String)> = search
        .connection
        .prepare_cached(
            "SELECT guild_id, channel_id, state FROM channel_epochs
             WHERE instr(coalesce(state, ''), ?1) > 0 AND (?2 IS NULL OR guild_id = ?2)",
        )?
        .query_map(params![search.digits, search.guild], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (guild, channel, state) in found {
        let mut state: ChannelState = from_json(&state, "channel_epochs")?;
        let person = search.who.person.user;
        state.exchanges.retain(|exchange| exchange.user != person);
        state.last_answers.retain(|answer| answer.user != person);
        search
            .connection
            .prepare_cached(
                "UPDATE channel_epochs SET state = ?3 WHERE guild_id = ?1 AND channel_id = ?2",
            )?
            .execute(params![guild, channel, json(&state)])?;
    }
    Ok(())
}

/// Where ids stand in columns of their own.
const IDS: &[&str] = &[
    "SELECT author_id FROM messages UNION SELECT reply_to_author_id FROM messages
         UNION SELECT buried_author_id FROM messages",
    "SELECT user_id FROM users",
    "SELECT approver_id FROM tool_executions",
    "SELECT target_user_id FROM moderation_logs",
    "SELECT asker_id FROM approvals UNION SELECT decided_by FROM approvals",
    "SELECT ended_by FROM scheduled_actions",
    "SELECT user_id FROM mcp_credentials",
    "SELECT set_by FROM provider_keys",
    "SELECT subject_id FROM config_layers WHERE layer = 'user'
         UNION SELECT author_id FROM config_changes",
    "SELECT user_id FROM usage UNION SELECT subject_id FROM usage_sums WHERE scope = 'member'
         UNION SELECT subject_id FROM usage_notices WHERE scope = 'member'",
    "SELECT author_id FROM learning_data UNION SELECT subject_user_id FROM learning_data",
];

/// Where ids stand in texts, or in JSON; what others typed is theirs, and is not looked at.
const TEXTS: &[&str] = &[
    "SELECT mentions FROM messages UNION ALL SELECT content FROM messages WHERE is_own
         UNION ALL SELECT enclosures FROM messages WHERE is_own",
    "SELECT principal_id FROM task_threads UNION ALL SELECT askers FROM task_threads
         UNION ALL SELECT detail FROM task_threads",
    "SELECT payload FROM task_thread_steps",
    "SELECT principal_id FROM tool_executions UNION ALL SELECT arguments FROM tool_executions
         UNION ALL SELECT result FROM tool_executions
         UNION ALL SELECT decision_reason FROM tool_executions
         UNION ALL SELECT audit_reason FROM tool_executions",
    "SELECT principal_id FROM moderation_logs UNION ALL SELECT reason FROM moderation_logs",
    "SELECT arguments FROM approvals",
    "SELECT principal_id FROM scheduled_actions UNION ALL SELECT arguments FROM scheduled_actions",
    "SELECT payload FROM scheduled_tasks",
    "SELECT payload FROM dead_letters UNION ALL SELECT reason FROM dead_letters",
    "SELECT state FROM channel_epochs",
    "SELECT text FROM learning_data UNION ALL SELECT text FROM channel_summaries",
    "SELECT changes FROM config_changes",
];

/// Returns everybody who may be in a file: in a restored one they are looked up in the ledger. Some are
/// other things' ids, which the ledger does not know.
pub(crate) fn people(connection: &Connection) -> Result<Vec<Id<UserMarker>>, StoreError> {
    let mut found = BTreeSet::new();
    for statement in IDS {
        let mut statement = connection.prepare(statement)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.extend(row.get::<_, Option<i64>>(0)?.map(i64::cast_unsigned));
        }
    }
    for statement in TEXTS {
        let mut statement = connection.prepare(statement)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let ValueRef::Text(text) | ValueRef::Blob(text) = row.get_ref(0)? {
                found.extend(numbers(text));
            }
        }
    }
    Ok(found.into_iter().filter_map(Id::new_checked).collect())
}

/// Returns the numbers that stand in a text, as far as one can be an id.
fn numbers(text: &[u8]) -> impl Iterator<Item = u64> {
    let runs = text.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty());
    runs.filter_map(|run| std::str::from_utf8(run).ok()?.parse().ok())
}
