-- Direct messages that Ery knows, and the session before which all that was missed of them was read
-- back last. No session tells of them as it tells of guilds: each that begins finds them here.
CREATE TABLE direct_channels (
    channel_id INTEGER PRIMARY KEY,
    read_back_session TEXT NOT NULL DEFAULT '',
    read_back_told_at_ms INTEGER,
    -- The session for which it is being read back, and the newest message known before it; NULL: none.
    pending_session TEXT,
    pending_after INTEGER
) STRICT;
