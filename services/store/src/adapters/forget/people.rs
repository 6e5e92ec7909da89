//! Names, credentials, direct messages, and whom the gate remembers; and who is in a file at all.

use rusqlite::{Connection, params};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use super::{Part, Search, messages, user};
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

/// Returns everybody who is in a file: in a restored one they are looked up in the ledger.
pub(crate) fn people(connection: &Connection) -> Result<Vec<Id<UserMarker>>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT author_id FROM messages UNION SELECT reply_to_author_id FROM messages
         UNION SELECT buried_author_id FROM messages
         UNION SELECT CAST(json_extract(named.value, '$.user') AS INTEGER)
             FROM messages AS m, json_each(m.mentions) AS named WHERE m.mentions IS NOT NULL
         UNION SELECT user_id FROM users
         UNION SELECT CAST(principal_id AS INTEGER) FROM task_threads WHERE principal_kind = 'person'
         UNION SELECT CAST(asker.value AS INTEGER)
             FROM task_threads AS t, json_each(t.askers) AS asker WHERE t.askers IS NOT NULL
         UNION SELECT CAST(principal_id AS INTEGER) FROM tool_executions
             WHERE principal_kind = 'person'
         UNION SELECT approver_id FROM tool_executions
         UNION SELECT target_user_id FROM moderation_logs WHERE target_user_id IS NOT NULL
         UNION SELECT CAST(principal_id AS INTEGER) FROM moderation_logs
             WHERE principal_kind = 'person'
         UNION SELECT asker_id FROM approvals
         UNION SELECT decided_by FROM approvals WHERE decided_by IS NOT NULL
         UNION SELECT CAST(principal_id AS INTEGER) FROM scheduled_actions
             WHERE principal_kind = 'person'
         UNION SELECT ended_by FROM scheduled_actions WHERE ended_by IS NOT NULL
         UNION SELECT CAST(arguments ->> '$.member' AS INTEGER) FROM scheduled_actions
             WHERE json_valid(arguments) AND arguments ->> '$.member' IS NOT NULL
         UNION SELECT CAST(arguments ->> '$.member' AS INTEGER) FROM tool_executions
             WHERE json_valid(arguments) AND arguments ->> '$.member' IS NOT NULL
         UNION SELECT user_id FROM mcp_credentials
         UNION SELECT author_id FROM learning_data
         UNION SELECT subject_user_id FROM learning_data WHERE subject_user_id IS NOT NULL",
    )?;
    let ids = statement.query_map([], |row| row.get::<_, i64>(0))?;
    let mut people = Vec::new();
    for id in ids {
        people.extend(user(id?));
    }
    Ok(people)
}
