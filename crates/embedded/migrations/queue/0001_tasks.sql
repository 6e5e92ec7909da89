-- What waits for channels. A removed task stays as a tombstone without its payload for as long as
-- its trigger must be known again.
CREATE TABLE tasks (
    position    INTEGER PRIMARY KEY,
    "trigger"   TEXT    NOT NULL UNIQUE,
    guild       INTEGER NOT NULL,           -- 0 in a direct message
    channel     INTEGER NOT NULL,
    bot         INTEGER NOT NULL,
    received_at INTEGER NOT NULL,           -- Unix milliseconds
    traceparent TEXT,
    payload     BLOB    NOT NULL,
    removed_at  INTEGER                     -- Unix milliseconds; NULL while it waits
) STRICT;

-- Every epoch given out so far is below or at `durable`.
CREATE TABLE epochs (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    durable INTEGER NOT NULL
) STRICT;
INSERT INTO epochs VALUES (1, 0);
