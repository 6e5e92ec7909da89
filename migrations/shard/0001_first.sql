-- shard-NNNN.db: everything of the guilds (and of the direct-message channels) whose home it is.
--
-- Times are Unix milliseconds. Ids are Discord's; a guild_id of 0 means a direct message.
-- Thread ids are UUIDs of version 7, so that their order is the order of their beginnings.

-- People, as each guild knows them.
CREATE TABLE users (
    guild_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    is_automated INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    -- Coarse: moved on once an hour at most.
    last_seen_ms INTEGER NOT NULL,
    PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;

-- Guilds; people call them servers.
CREATE TABLE servers (
    guild_id INTEGER PRIMARY KEY,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL
) STRICT;

-- Who may write for a channel: the highest epoch seen, and whose it is.
CREATE TABLE channel_epochs (
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    -- JSON: open exchanges and last answers, for the gate.
    state TEXT,
    PRIMARY KEY (guild_id, channel_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_threads (
    thread_id BLOB PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    -- The epoch under which it began.
    epoch INTEGER NOT NULL,
    principal_kind TEXT CHECK (principal_kind IN ('person', 'rule', 'expiry')),
    principal_id TEXT,
    principal_version INTEGER,
    -- JSON array, where several authors share the turn.
    askers TEXT,
    started_at_ms INTEGER NOT NULL,
    finished_at_ms INTEGER,
    outcome TEXT NOT NULL CHECK (outcome IN
        ('running', 'done', 'out_of_budget', 'cancelled', 'failed', 'too_busy', 'suspended')),
    detail TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    -- The last attempt that was recorded.
    attempted_at_ms INTEGER,
    attempted_at_step INTEGER,
    attempt_error TEXT,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    CHECK ((outcome = 'running') = (finished_at_ms IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX task_threads_of_channel ON task_threads (guild_id, channel_id);

-- Invariant ONE-THREAD: a channel has one running thread at most.
CREATE UNIQUE INDEX task_threads_running ON task_threads (guild_id, channel_id)
    WHERE outcome = 'running';

CREATE TABLE task_thread_triggers (
    thread_id BLOB NOT NULL REFERENCES task_threads (thread_id),
    position INTEGER NOT NULL,
    trigger_id TEXT NOT NULL,
    -- The message, where a message is the trigger; its text stands in `messages` alone.
    message_id INTEGER,
    received_at_ms INTEGER NOT NULL,
    -- The edit that the trigger was sent with, 0 if none: a later one is a change.
    sent_edited_at_ms INTEGER NOT NULL,
    PRIMARY KEY (thread_id, position)
) STRICT, WITHOUT ROWID;

-- The journal.
CREATE TABLE task_thread_steps (
    thread_id BLOB NOT NULL REFERENCES task_threads (thread_id),
    step INTEGER NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (thread_id, step)
) STRICT, WITHOUT ROWID;

-- What was answered or skipped. A trigger is finished once, with its thread's outcome.
CREATE TABLE finished_triggers (
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    trigger_id TEXT NOT NULL,
    thread_id BLOB NOT NULL REFERENCES task_threads (thread_id),
    finished_at_ms INTEGER NOT NULL,
    PRIMARY KEY (guild_id, channel_id, trigger_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    dead_letter_id INTEGER PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    trigger_id TEXT NOT NULL,
    message_id INTEGER,
    received_at_ms INTEGER NOT NULL,
    thread_id BLOB NOT NULL REFERENCES task_threads (thread_id),
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (guild_id, channel_id, trigger_id)
) STRICT;

-- Every decision on a tool call and what came of it, denials too: written before the act, closed
-- after it, so that a crash shows as open.
CREATE TABLE tool_executions (
    execution_id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    thread_id BLOB REFERENCES task_threads (thread_id),
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    -- 0 where no channel was held.
    epoch INTEGER NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    -- SHA-256 of the arguments, hex.
    arguments_hash TEXT NOT NULL,
    principal_kind TEXT CHECK (principal_kind IN ('person', 'rule', 'expiry')),
    principal_id TEXT,
    principal_version INTEGER,
    trigger_id TEXT NOT NULL,
    -- Empty where the tool is unknown.
    tier TEXT NOT NULL CHECK (tier IN ('', 'read', 'harmless', 'reversible', 'destructive')),
    decision TEXT NOT NULL CHECK (decision IN ('allow', 'deny', 'needs_approval')),
    decision_reason TEXT NOT NULL,
    -- Who approved it, 0 if nobody was asked.
    approver_id INTEGER NOT NULL,
    is_tainted INTEGER NOT NULL,
    is_ordered INTEGER NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    audit_reason TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    send_by_ms INTEGER NOT NULL,
    closed_at_ms INTEGER,
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed', 'denied', 'in_doubt')),
    result TEXT NOT NULL,
    -- HTTP status of Discord's answer, 0 if none came.
    rest_status INTEGER NOT NULL,
    CHECK ((state = 'open') = (closed_at_ms IS NULL))
) STRICT;

CREATE INDEX tool_executions_of_thread ON tool_executions (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX tool_executions_of_channel ON tool_executions (guild_id, channel_id);

-- The audit is append-only: an execution is never removed, and what was decided never changes.
CREATE TRIGGER tool_executions_stay BEFORE DELETE ON tool_executions
BEGIN
    SELECT RAISE(ABORT, 'an execution is never removed');
END;

CREATE TRIGGER tool_executions_keep_decision
BEFORE UPDATE OF execution_id, key, thread_id, guild_id, channel_id, epoch, tool, arguments_hash,
    principal_kind, principal_version, tier, decision, approver_id, opened_at_ms
ON tool_executions
BEGIN
    SELECT RAISE(ABORT, 'what was decided of an execution never changes');
END;

CREATE TRIGGER tool_executions_close_once BEFORE UPDATE OF state, closed_at_ms, rest_status
ON tool_executions WHEN OLD.state NOT IN ('open', 'in_doubt')
BEGIN
    SELECT RAISE(ABORT, 'an execution is closed once');
END;

-- Moderation acts that were carried out.
CREATE TABLE moderation_logs (
    moderation_log_id INTEGER PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    execution_id INTEGER NOT NULL UNIQUE REFERENCES tool_executions (execution_id),
    tool TEXT NOT NULL,
    tier TEXT NOT NULL,
    -- Whom it was done to, where the arguments name a person.
    target_user_id INTEGER,
    principal_kind TEXT,
    principal_id TEXT,
    principal_version INTEGER,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX moderation_logs_of_target ON moderation_logs (guild_id, target_user_id);

-- What was learnt, with where it came from: provenance makes deletion and taint possible.
CREATE TABLE learning_data (
    learning_data_id INTEGER PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    -- The channel whose readers may see it.
    channel_id INTEGER NOT NULL,
    visibility TEXT NOT NULL,
    -- Whom it is about, NULL if nobody.
    subject_user_id INTEGER,
    -- Who said it.
    author_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER
) STRICT;

CREATE INDEX learning_data_of_guild ON learning_data (guild_id, kind);
CREATE INDEX learning_data_of_subject ON learning_data (guild_id, subject_user_id);
CREATE INDEX learning_data_of_author ON learning_data (guild_id, author_id);

CREATE TABLE learning_data_sources (
    learning_data_id INTEGER NOT NULL REFERENCES learning_data (learning_data_id) ON DELETE CASCADE,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (learning_data_id, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX learning_data_sources_of_message ON learning_data_sources (message_id);

-- Messages, and tombstones of deleted ones: their ids and nothing else.
CREATE TABLE messages (
    message_id INTEGER PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    author_id INTEGER NOT NULL DEFAULT 0,
    author_name TEXT NOT NULL DEFAULT '',
    is_automated INTEGER NOT NULL DEFAULT 0,
    is_own INTEGER NOT NULL DEFAULT 0,
    content TEXT NOT NULL DEFAULT '',
    created_at_ms INTEGER NOT NULL DEFAULT 0,
    -- The edit that `content` is of, 0 if it was never edited.
    edited_at_ms INTEGER NOT NULL DEFAULT 0,
    type INTEGER NOT NULL DEFAULT 0,
    reply_to INTEGER NOT NULL DEFAULT 0,
    reply_to_author_id INTEGER NOT NULL DEFAULT 0,
    -- JSON arrays, NULL if empty.
    mentions TEXT,
    mentioned_roles TEXT,
    attachments TEXT,
    gate_reason TEXT NOT NULL DEFAULT '',
    nonce TEXT NOT NULL DEFAULT '',
    -- The edit that everything but `content` is of; NULL while only an edit's text is known.
    whole_at_ms INTEGER,
    is_ingested INTEGER NOT NULL,
    deleted_at_ms INTEGER
) STRICT;

-- What may be shown: known as a whole, and not deleted. The newest of a channel come first.
CREATE INDEX messages_of_channel ON messages (guild_id, channel_id, message_id)
    WHERE whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL;

CREATE VIRTUAL TABLE messages_fts USING fts5 (
    content,
    content = 'messages',
    content_rowid = 'message_id',
    tokenize = 'unicode61 remove_diacritics 2'
);

-- What is deleted leaves the index's pages, too.
INSERT INTO messages_fts (messages_fts, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages WHEN NEW.content <> ''
BEGIN
    INSERT INTO messages_fts (rowid, content) VALUES (NEW.message_id, NEW.content);
END;

CREATE TRIGGER messages_fts_update AFTER UPDATE OF content ON messages
WHEN OLD.content <> NEW.content
BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content)
    SELECT 'delete', OLD.message_id, OLD.content WHERE OLD.content <> '';
    INSERT INTO messages_fts (rowid, content)
    SELECT NEW.message_id, NEW.content WHERE NEW.content <> '';
END;

CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages WHEN OLD.content <> ''
BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content)
    VALUES ('delete', OLD.message_id, OLD.content);
END;

-- Which events each handler has written, so that a repeat changes nothing. Trimmed by age.
CREATE TABLE handled_events (
    handled_event_id INTEGER PRIMARY KEY,
    handler TEXT NOT NULL,
    event_id TEXT NOT NULL,
    handled_at_ms INTEGER NOT NULL,
    UNIQUE (handler, event_id)
) STRICT;
