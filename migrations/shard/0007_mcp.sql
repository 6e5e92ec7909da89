-- Credentials of MCP clients: each acts for one person, in one guild.

CREATE TABLE mcp_credentials (
    credential_id TEXT PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    -- For whom it acts.
    user_id INTEGER NOT NULL,
    -- The channel that is "here" for its calls, and where its proposals are shown.
    channel_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- JSON array of the tools that it may call; empty for every tool.
    tools TEXT NOT NULL CHECK (json_valid(tools)),
    -- SHA-256 of the token, which itself is kept nowhere.
    token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    -- When its client was last told what others wrote.
    told_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX mcp_credentials_of_guild ON mcp_credentials (guild_id, created_at_ms);

-- Invariant ASKER-BOUND: for whom a credential acts, and where, never changes.
CREATE TRIGGER mcp_credentials_keep_bounds
BEFORE UPDATE OF credential_id, guild_id, user_id, channel_id, tools, token_hash ON mcp_credentials
BEGIN
    SELECT RAISE(ABORT, 'what a credential is bound to never changes');
END;

CREATE TRIGGER mcp_credentials_stay_revoked
BEFORE UPDATE OF revoked_at_ms ON mcp_credentials WHEN OLD.revoked_at_ms IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a revoked credential stays revoked');
END;
