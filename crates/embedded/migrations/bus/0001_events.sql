CREATE TABLE events (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    part         INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    home         INTEGER NOT NULL,          -- the guild, or the channel of a direct message
    is_direct    INTEGER NOT NULL,
    channel      INTEGER,
    bot          INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,          -- Unix milliseconds
    published_at INTEGER NOT NULL,          -- Unix milliseconds
    traceparent  TEXT,
    payload      BLOB    NOT NULL
) STRICT;
-- What a handler that lags reads: its part, in order, without touching events of other kinds.
CREATE INDEX events_by_part ON events (part, seq, kind);

-- How far each durable handler has acknowledged each part.
CREATE TABLE cursors (
    handler TEXT    NOT NULL,
    part    INTEGER NOT NULL,
    acked   INTEGER NOT NULL,
    PRIMARY KEY (handler, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE resume_points (
    number     INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    session    TEXT    NOT NULL,
    resume_url TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    bot        INTEGER NOT NULL,
    saved_at   INTEGER NOT NULL,
    PRIMARY KEY (number, total)
) STRICT, WITHOUT ROWID;
