-- Keys of guilds for the operator's model providers, and what was spent on them.

-- Invariant SEALED: only in files that are encrypted. Never in an export, a list or a log.
CREATE TABLE provider_keys (
    guild_id INTEGER NOT NULL,
    -- As the operator's settings name it.
    provider TEXT NOT NULL,
    key TEXT NOT NULL,
    -- 0: the installation's operator, or somebody who is forgotten.
    set_by INTEGER NOT NULL,
    set_at_ms INTEGER NOT NULL,
    PRIMARY KEY (guild_id, provider)
) STRICT, WITHOUT ROWID;

-- Part of `cost_micros`: on a key of the guild's own, so that the operator pays nothing for it.
ALTER TABLE usage ADD COLUMN on_guild_key_micros INTEGER NOT NULL DEFAULT 0;
