-- Channels that were deleted at Discord: what was said there goes, and what comes late of it is not kept.
CREATE TABLE deleted_channels (
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    deleted_at_ms INTEGER NOT NULL,
    -- Once all its messages were emptied.
    is_emptied INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (guild_id, channel_id)
) STRICT, WITHOUT ROWID;
