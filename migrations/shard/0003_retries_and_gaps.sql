-- Dead letters that can be tried again, what is to be published to the channel queue, and when each
-- guild was told whole.

-- Tasks that are to come onto their channel's queue at a moment. A row is marked once the queue has
-- acknowledged it; until then it is published again, which the queue takes for a repeat.
CREATE TABLE scheduled_tasks (
    scheduled_task_id INTEGER PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    trigger_id TEXT NOT NULL,
    -- How often the trigger was put back, so that the queue tells one time from another.
    retry INTEGER NOT NULL,
    bot_id INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    -- Emptied when it is published.
    payload BLOB NOT NULL,
    due_at_ms INTEGER NOT NULL,
    published_at_ms INTEGER,
    UNIQUE (guild_id, channel_id, trigger_id, retry)
) STRICT;

CREATE INDEX scheduled_tasks_due ON scheduled_tasks (due_at_ms, scheduled_task_id)
    WHERE published_at_ms IS NULL;

CREATE TABLE dead_letters_with_retries (
    dead_letter_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('task', 'event')),
    guild_id INTEGER NOT NULL,
    -- 0 for an event of no channel.
    channel_id INTEGER NOT NULL,
    -- The trigger's id, or the event's.
    source_id TEXT NOT NULL,
    message_id INTEGER,
    received_at_ms INTEGER NOT NULL,
    -- The thread that failed.
    thread_id BLOB REFERENCES task_threads (thread_id),
    -- Who could not take the event in, and its kind; empty for a task.
    handler TEXT NOT NULL DEFAULT '',
    event_kind TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- 0 where it is not known.
    bot_id INTEGER NOT NULL DEFAULT 0,
    -- As it came from Discord; NULL where it was too large, not known, or its message was deleted.
    payload BLOB,
    payload_bytes INTEGER NOT NULL DEFAULT 0,
    retried_at_ms INTEGER,
    retried_by TEXT,
    scheduled_task_id INTEGER REFERENCES scheduled_tasks (scheduled_task_id),
    CHECK ((kind = 'task') = (thread_id IS NOT NULL)),
    CHECK ((retried_at_ms IS NULL) = (scheduled_task_id IS NULL))
) STRICT;

INSERT INTO dead_letters_with_retries (dead_letter_id, kind, guild_id, channel_id, source_id,
    message_id, received_at_ms, thread_id, reason, at_ms)
SELECT dead_letter_id, 'task', guild_id, channel_id, trigger_id, message_id, received_at_ms,
    thread_id, reason, at_ms
FROM dead_letters;

DROP TABLE dead_letters;
ALTER TABLE dead_letters_with_retries RENAME TO dead_letters;

-- A trigger dies once, until it is tried again; an event once for each handler.
CREATE UNIQUE INDEX dead_letters_of_trigger ON dead_letters (guild_id, channel_id, source_id)
    WHERE kind = 'task' AND retried_at_ms IS NULL;
CREATE UNIQUE INDEX dead_letters_of_event ON dead_letters (handler, source_id)
    WHERE kind = 'event';
CREATE INDEX dead_letters_of_message ON dead_letters (message_id) WHERE payload IS NOT NULL;

-- The last event by which Discord told the guild whole, when it came, and when the one before did.
ALTER TABLE servers ADD COLUMN told_by TEXT NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN told_at_ms INTEGER;
ALTER TABLE servers ADD COLUMN told_before_ms INTEGER;
