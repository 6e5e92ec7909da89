-- A trigger may be put back after its thread failed for good, each time as another publish.
CREATE TABLE tasks_with_retries (
    position    INTEGER PRIMARY KEY,
    "trigger"   TEXT    NOT NULL,
    guild       INTEGER NOT NULL,           -- 0 in a direct message
    channel     INTEGER NOT NULL,
    bot         INTEGER NOT NULL,
    received_at INTEGER NOT NULL,           -- Unix milliseconds
    traceparent TEXT,
    payload     BLOB    NOT NULL,
    removed_at  INTEGER,                    -- Unix milliseconds; NULL while it waits
    retry       INTEGER NOT NULL DEFAULT 0, -- how often it was put back before
    UNIQUE ("trigger", retry)
) STRICT;
INSERT INTO tasks_with_retries
    (position, "trigger", guild, channel, bot, received_at, traceparent, payload, removed_at)
SELECT position, "trigger", guild, channel, bot, received_at, traceparent, payload, removed_at
FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_with_retries RENAME TO tasks;
