//! What is kept of a person, as rows of JSON: read, and counted.
//!
//! Nothing in it was written by others: of what others did to the person it tells that, when and how,
//! and not in whose words. Names of other people are not in it either.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};
use serde::Serialize;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use ery_clock::UnixMillis;
use ery_group_commit::{FileKey, open_read_only};

use crate::{
    adapters::columns,
    domain::privacy::{OptOut, Person},
    error::StoreError,
};

/// One kind of data: its name, and a statement whose rows are one JSON object each.
///
/// `?1` is the person's id, `?2` the same as text, `?3` the guild or NULL.
type Kind = (&'static str, &'static str);

/// Ids are texts, as Discord has them in JSON.
pub(crate) const KINDS: &[Kind] = &[
    (
        "messages",
        "SELECT json_object('message_id', CAST(message_id AS TEXT), 'guild_id',
             CAST(nullif(guild_id, 0) AS TEXT), 'channel_id', CAST(channel_id AS TEXT),
             'content', content, 'author_name', author_name, 'created_at_ms', created_at_ms,
             'edited_at_ms', nullif(edited_at_ms, 0), 'reply_to', CAST(nullif(reply_to, 0) AS TEXT),
             'attachments', json(coalesce(attachments, '[]')), 'enclosures', (SELECT
                 json_group_array(json_object('kind', e.value ->> 'kind', 'text', e.value ->> 'text'))
                 FROM json_each(coalesce(enclosures, '[]')) AS e
                 WHERE e.value ->> 'kind' <> 'forward'))
         FROM messages WHERE author_id = ?1 AND deleted_at_ms IS NULL
             AND (?3 IS NULL OR guild_id = ?3) AND ?2 <> '' ORDER BY message_id",
    ),
    (
        "names",
        "SELECT json_object('guild_id', CAST(nullif(guild_id, 0) AS TEXT), 'name', name,
             'first_seen_ms', first_seen_ms, 'last_seen_ms', last_seen_ms)
         FROM users WHERE user_id = ?1 AND (?3 IS NULL OR guild_id = ?3) AND ?2 <> ''",
    ),
    (
        "threads",
        "SELECT json_object('thread_id', lower(hex(t.thread_id)), 'guild_id',
             CAST(nullif(t.guild_id, 0) AS TEXT), 'channel_id', CAST(t.channel_id AS TEXT),
             'started_at_ms', t.started_at_ms, 'finished_at_ms', t.finished_at_ms,
             'outcome', t.outcome, 'triggers', (SELECT json_group_array(g.trigger_id)
                 FROM task_thread_triggers AS g JOIN messages AS m ON m.message_id = g.message_id
                 WHERE g.thread_id = t.thread_id AND m.author_id = ?1))
         FROM task_threads AS t WHERE (?3 IS NULL OR t.guild_id = ?3)
             AND ((t.principal_kind = 'person' AND t.principal_id = ?2)
                 OR instr(coalesce(t.askers, ''), ?2) > 0
                 OR EXISTS (SELECT 1 FROM task_thread_triggers AS g
                     JOIN messages AS m ON m.message_id = g.message_id
                     WHERE g.thread_id = t.thread_id AND m.author_id = ?1))",
    ),
    (
        // Arguments only where nobody else's words can be in them.
        "executions",
        "SELECT json_object('key', key, 'guild_id', CAST(nullif(guild_id, 0) AS TEXT),
             'channel_id', CAST(channel_id AS TEXT), 'tool', tool, 'decision', decision,
             'state', state, 'opened_at_ms', opened_at_ms, 'closed_at_ms', closed_at_ms,
             'as', CASE WHEN principal_kind = 'person' AND principal_id = ?2 THEN 'asker'
                 WHEN approver_id = ?1 THEN 'approver' ELSE 'target' END,
             'arguments', json(CASE WHEN principal_kind = 'person' AND principal_id = ?2
                 AND NOT is_tainted AND json_valid(arguments) THEN arguments ELSE 'null' END))
         FROM tool_executions WHERE (?3 IS NULL OR guild_id = ?3)
             AND ((principal_kind = 'person' AND principal_id = ?2) OR approver_id = ?1
                 OR (json_valid(arguments)
                     AND ?2 IN (arguments ->> '$.member', arguments ->> '$.of.member'))
                 OR EXISTS (SELECT 1 FROM json_each(
                     CASE WHEN json_valid(arguments) THEN arguments END, '$.members') AS named
                     WHERE named.value = ?2))",
    ),
    (
        "cases",
        "SELECT json_object('guild_id', CAST(guild_id AS TEXT), 'channel_id',
             CAST(channel_id AS TEXT), 'tool', tool, 'tier', tier, 'at_ms', at_ms,
             'as', CASE WHEN principal_kind = 'person' AND principal_id = ?2 THEN 'moderator'
                 ELSE 'target' END)
         FROM moderation_logs WHERE (?3 IS NULL OR guild_id = ?3)
             AND (target_user_id = ?1 OR (principal_kind = 'person' AND principal_id = ?2)
                 OR (target_user_id IS NULL AND EXISTS (SELECT 1 FROM tool_executions AS e, json_each(
                     CASE WHEN json_valid(e.result) THEN e.result END, '$.banned') AS banned
                     WHERE e.execution_id = moderation_logs.execution_id AND banned.value = ?2)))",
    ),
    (
        "approvals",
        "SELECT json_object('guild_id', CAST(guild_id AS TEXT), 'channel_id',
             CAST(channel_id AS TEXT), 'tool', tool, 'created_at_ms', created_at_ms,
             'expires_at_ms', expires_at_ms, 'decision', decision, 'decided_at_ms', decided_at_ms,
             'as', CASE WHEN asker_id = ?1 THEN 'asker' WHEN decided_by = ?1 THEN 'approver'
                 ELSE 'target' END)
         FROM approvals WHERE (?3 IS NULL OR guild_id = ?3)
             AND (asker_id = ?1 OR decided_by = ?1
                 OR (json_valid(arguments) AND arguments ->> '$.member' = ?2)
                 OR EXISTS (SELECT 1 FROM json_each(
                     CASE WHEN json_valid(arguments) THEN arguments END, '$.members') AS named
                     WHERE named.value = ?2))",
    ),
    (
        "scheduled_actions",
        "SELECT json_object('scheduled_action_id', a.scheduled_action_id, 'guild_id',
             CAST(nullif(a.guild_id, 0) AS TEXT), 'channel_id', CAST(a.channel_id AS TEXT),
             'tool', a.tool, 'created_at_ms', a.created_at_ms, 'due_at_ms', a.due_at_ms,
             'state', a.state, 'arguments', json(CASE
                 WHEN a.principal_kind = 'person' AND a.principal_id = ?2 AND json_valid(a.arguments)
                     AND NOT coalesce(e.is_tainted, 1) THEN a.arguments ELSE 'null' END),
             'as', CASE WHEN a.principal_kind = 'person' AND a.principal_id = ?2 THEN 'asker'
                 WHEN a.ended_by = ?1 THEN 'cancelled by' ELSE 'target' END)
         FROM scheduled_actions AS a LEFT JOIN tool_executions AS e ON e.key = a.key
         WHERE (?3 IS NULL OR a.guild_id = ?3)
             AND ((a.principal_kind = 'person' AND a.principal_id = ?2) OR a.ended_by = ?1
                 OR (json_valid(a.arguments) AND a.arguments ->> '$.member' = ?2)
                 OR EXISTS (SELECT 1 FROM json_each(
                     CASE WHEN json_valid(a.arguments) THEN a.arguments END, '$.members') AS named
                     WHERE named.value = ?2))",
    ),
    (
        "learning_data",
        "SELECT json_object('learning_data_id', learning_data_id, 'guild_id',
             CAST(guild_id AS TEXT), 'channel_id', CAST(channel_id AS TEXT), 'kind', kind,
             'text', CASE WHEN author_id = ?1 AND NOT EXISTS (SELECT 1
                     FROM learning_data_sources AS s JOIN messages AS m ON m.message_id = s.message_id
                     WHERE s.learning_data_id = learning_data.learning_data_id
                         AND m.author_id <> ?1) THEN text END, 'created_at_ms', created_at_ms,
             'expires_at_ms', expires_at_ms,
             'as', CASE WHEN author_id = ?1 THEN 'author' ELSE 'subject' END,
             'sources', (SELECT json_group_array(CAST(s.message_id AS TEXT))
                 FROM learning_data_sources AS s
                 WHERE s.learning_data_id = learning_data.learning_data_id))
         FROM learning_data WHERE (author_id = ?1 OR subject_user_id = ?1)
             AND (?3 IS NULL OR guild_id = ?3) AND ?2 <> ''",
    ),
    (
        "direct_channels",
        "SELECT json_object('channel_id', CAST(channel_id AS TEXT)) FROM (
             SELECT DISTINCT channel_id FROM messages
             WHERE guild_id = 0 AND author_id = ?1 AND ?3 IS NULL
             UNION SELECT channel_id FROM task_threads WHERE guild_id = 0
                 AND principal_kind = 'person' AND principal_id = ?2 AND ?3 IS NULL)",
    ),
    (
        "config",
        "SELECT json_object('guild_id', CAST(home_id AS TEXT), 'values', json(document))
         FROM config_layers WHERE layer = 'user' AND subject_id = ?1
             AND (?3 IS NULL OR home_id = ?3) AND ?2 <> ''",
    ),
    (
        "usage",
        "SELECT json_object('day', date(day * 86400, 'unixepoch'), 'guild_id',
             CAST(nullif(guild_id, 0) AS TEXT), 'channel_id', CAST(channel_id AS TEXT),
             'model', model, 'turns', turns, 'prompt_tokens', prompt_tokens,
             'cached_tokens', cached_tokens, 'completion_tokens', completion_tokens,
             'cost_micros', cost_micros)
         FROM usage WHERE user_id = ?1 AND (?3 IS NULL OR guild_id = ?3) AND ?2 <> ''",
    ),
    (
        // Never the hash of the token.
        "mcp_credentials",
        "SELECT json_object('credential_id', credential_id, 'guild_id', CAST(guild_id AS TEXT),
             'channel_id', CAST(channel_id AS TEXT), 'name', name, 'tools', json(tools),
             'created_at_ms', created_at_ms, 'revoked_at_ms', revoked_at_ms)
         FROM mcp_credentials WHERE user_id = ?1 AND (?3 IS NULL OR guild_id = ?3) AND ?2 <> ''",
    ),
    (
        // Never the key.
        "provider_keys",
        "SELECT json_object('guild_id', CAST(guild_id AS TEXT), 'provider', provider,
             'set_at_ms', set_at_ms)
         FROM provider_keys WHERE set_by = ?1 AND (?3 IS NULL OR guild_id = ?3) AND ?2 <> ''",
    ),
    (
        "dead_letters",
        "SELECT json_object('source_id', d.source_id, 'kind', d.kind, 'guild_id',
             CAST(nullif(d.guild_id, 0) AS TEXT), 'channel_id', CAST(d.channel_id AS TEXT),
             'at_ms', d.at_ms, 'is_kept', json(CASE WHEN d.payload IS NULL THEN 'false'
                 ELSE 'true' END))
         FROM dead_letters AS d LEFT JOIN messages AS m ON m.message_id = d.message_id
         WHERE (?3 IS NULL OR d.guild_id = ?3) AND (m.author_id = ?1
             OR instr(coalesce(d.payload, x''), CAST('\"' || ?2 || '\"' AS BLOB)) > 0)",
    ),
];

/// Counts what of each kind there is in a file.
pub(crate) fn count(
    path: &Path,
    key: Option<&FileKey>,
    person: Person,
) -> Result<Vec<u64>, StoreError> {
    let connection = open(path, key)?;
    let count = |(_, statement): &Kind| -> Result<u64, StoreError> {
        let counted: i64 = connection.query_row(
            &format!("SELECT count(*) FROM ({statement})"),
            params![
                columns::id(person.user),
                person.user.to_string(),
                person.guild.map(columns::id)
            ],
            |row| row.get(0),
        )?;
        Ok(counted.cast_unsigned())
    };
    KINDS.iter().map(count).collect()
}

fn open(path: &Path, key: Option<&FileKey>) -> Result<Connection, StoreError> {
    open_read_only(path, key).map_err(|error| crate::error::BackupError::Open(error).into())
}

/// Where an archive is read from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) key: Option<FileKey>,
    pub(crate) person: Person,
    pub(crate) opt_out: OptOut,
    pub(crate) at: UnixMillis,
}

#[derive(Debug, Serialize)]
struct Manifest {
    format: &'static str,
    user_id: String,
    /// None: everything.
    guild_id: Option<String>,
    exported_at_ms: i64,
    files: Vec<ManifestFile>,
    note: &'static str,
}

#[derive(Debug, Serialize)]
struct ManifestFile {
    name: String,
    rows: u64,
}

#[derive(Debug, Serialize)]
struct Preferences {
    is_opted_out_of_learning: bool,
    opted_out_here_since_ms: Option<i64>,
    opted_out_everywhere_since_ms: Option<i64>,
}

const NOTE: &str = "Each file holds one JSON object a line. What other people wrote is not in here, \
     reasons of moderators among it: ask them. Times are Unix milliseconds.";

/// Writes the archive: reads row by row, so that its size does not matter. Blocks the thread.
pub(crate) fn write(source: &Source, out: impl Write) -> Result<(), StoreError> {
    let mut archive = ZipWriter::new_stream(out);
    let mut files = Vec::new();
    for (kind, statement) in KINDS {
        let name = format!("{kind}.jsonl");
        archive.start_file(name.as_str(), options()).map_err(broken)?;
        let mut rows = 0;
        for file in &source.files {
            let connection = open(file, source.key.as_ref())?;
            rows += write_rows(&connection, statement, source.person, &mut archive)?;
        }
        files.push(ManifestFile { name, rows });
    }
    let since = source.opt_out;
    let preferences = Preferences {
        is_opted_out_of_learning: since.since().is_some(),
        opted_out_here_since_ms: since.here.map(|at| at.0),
        opted_out_everywhere_since_ms: since.everywhere.map(|at| at.0),
    };
    let manifest = Manifest {
        format: "ery-person-1",
        user_id: source.person.user.to_string(),
        guild_id: source.person.guild.map(|guild| guild.to_string()),
        exported_at_ms: source.at.0,
        files,
        note: NOTE,
    };
    write_json(&mut archive, "preferences.json", &preferences)?;
    write_json(&mut archive, "manifest.json", &manifest)?;
    archive.finish().map_err(broken)?.flush().map_err(StoreError::Export)
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true)
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Export(io::Error::other(error))
}

fn write_json(
    archive: &mut (impl Write + Archive),
    name: &str,
    value: &impl Serialize,
) -> Result<(), StoreError> {
    archive.begin(name)?;
    serde_json::to_writer_pretty(archive, value).map_err(broken)
}

/// A ZIP file that is being written.
trait Archive {
    fn begin(&mut self, name: &str) -> Result<(), StoreError>;
}

impl<W: Write> Archive for ZipWriter<zip::write::StreamWriter<W>> {
    fn begin(&mut self, name: &str) -> Result<(), StoreError> {
        self.start_file(name, options()).map_err(broken)
    }
}

fn write_rows(
    connection: &Connection,
    statement: &str,
    person: Person,
    out: &mut impl Write,
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare(statement)?;
    let mut rows = statement.query(params![
        columns::id(person.user),
        person.user.to_string(),
        person.guild.map(columns::id)
    ])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        out.write_all(line.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .map_err(StoreError::Export)?;
        count += 1;
    }
    Ok(count)
}
