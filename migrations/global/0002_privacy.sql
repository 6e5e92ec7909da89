-- Who is to be forgotten, who was, and who is not learnt from.

-- The keys under which people's ids are hashed: the store's own, and those of stores whose backups were
-- brought back here.
CREATE TABLE ledger_keys (
    -- Which one it is, and nothing of it.
    key_id TEXT PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32),
    -- New entries are made under this one.
    is_own INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX ledger_keys_own ON ledger_keys (is_own) WHERE is_own;

-- The ledger of deletions. Entries stay: a restore looks for the people whom they are about.
CREATE TABLE deletions (
    deletion_id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES ledger_keys (key_id),
    -- HMAC-SHA-256 of the person's id.
    user_hash BLOB NOT NULL CHECK (length(user_hash) = 32),
    -- 0 for everything.
    guild_id INTEGER NOT NULL,
    -- What has an id of Discord's up to this one is forgotten, and what came about until that moment.
    before_id INTEGER NOT NULL,
    requested_at_ms INTEGER NOT NULL,
    -- Only until it is confirmed.
    user_id INTEGER,
    -- When nothing was left in any shard.
    erased_at_ms INTEGER,
    -- When what was queued is gone at the latest.
    confirmed_by_ms INTEGER,
    confirmed_at_ms INTEGER,
    CHECK ((user_id IS NULL) = (confirmed_at_ms IS NOT NULL)),
    CHECK (confirmed_at_ms IS NULL OR erased_at_ms IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX deletions_by_time ON deletions (requested_at_ms);

-- Nothing is to be learnt from these people. Their ids are not kept for it.
CREATE TABLE opt_outs (
    key_id TEXT NOT NULL REFERENCES ledger_keys (key_id),
    user_hash BLOB NOT NULL CHECK (length(user_hash) = 32),
    -- 0 for every guild.
    guild_id INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (key_id, user_hash, guild_id)
) STRICT, WITHOUT ROWID;
