-- Summaries of channels: what was said before the messages that a thread reads.

-- What a model made of a channel's messages from the first to the last, at most one for each channel.
CREATE TABLE channel_summaries (
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    text TEXT NOT NULL,
    first_message_id INTEGER NOT NULL,
    last_message_id INTEGER NOT NULL,
    -- Of how many messages; others may lie between the first and the last.
    messages INTEGER NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    made_at_ms INTEGER NOT NULL,
    PRIMARY KEY (guild_id, channel_id)
) STRICT, WITHOUT ROWID;

-- Who makes a channel's summary, or made it last: nobody else does meanwhile.
CREATE TABLE summary_claims (
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    claim_id TEXT NOT NULL,
    -- Of which messages it is to be, those of the summary before among them.
    first_message_id INTEGER NOT NULL,
    last_message_id INTEGER NOT NULL,
    claimed_at_ms INTEGER NOT NULL,
    -- Until when it may be brought; then its maker is taken for lost.
    expires_at_ms INTEGER NOT NULL,
    -- Once it was brought, or given up.
    ended_at_ms INTEGER,
    -- One of its messages was edited or deleted since.
    is_void INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (guild_id, channel_id)
) STRICT, WITHOUT ROWID;

-- Invariant FORGOTTEN: no summary outlives a word that it was made of. Whatever edits, empties or
-- removes a message (ingestion, a deletion, its age, the ledger) drops the summary with it, in the
-- same transaction, and voids the one that is being made.
CREATE TRIGGER messages_change_drops_summary
AFTER UPDATE OF content, mentions, attachments, deleted_at_ms ON messages
WHEN OLD.content <> NEW.content OR OLD.mentions IS NOT NEW.mentions
    OR OLD.attachments IS NOT NEW.attachments OR OLD.deleted_at_ms IS NOT NEW.deleted_at_ms
BEGIN
    DELETE FROM channel_summaries WHERE guild_id = OLD.guild_id AND channel_id = OLD.channel_id
        AND OLD.message_id BETWEEN first_message_id AND last_message_id;
    UPDATE summary_claims SET is_void = 1
    WHERE guild_id = OLD.guild_id AND channel_id = OLD.channel_id AND ended_at_ms IS NULL
        AND OLD.message_id BETWEEN first_message_id AND last_message_id;
END;

CREATE TRIGGER messages_removal_drops_summary AFTER DELETE ON messages
BEGIN
    DELETE FROM channel_summaries WHERE guild_id = OLD.guild_id AND channel_id = OLD.channel_id
        AND OLD.message_id BETWEEN first_message_id AND last_message_id;
    UPDATE summary_claims SET is_void = 1
    WHERE guild_id = OLD.guild_id AND channel_id = OLD.channel_id AND ended_at_ms IS NULL
        AND OLD.message_id BETWEEN first_message_id AND last_message_id;
END;

-- While a deletion goes on: from which message to which the person is found in a channel. By it the
-- journals are found that may have read a summary of what they said.
CREATE TABLE deletion_channels (
    deletion_id TEXT NOT NULL,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    first_message_id INTEGER NOT NULL,
    last_message_id INTEGER NOT NULL,
    PRIMARY KEY (deletion_id, guild_id, channel_id)
) STRICT, WITHOUT ROWID;

-- Parts of `turns`, of the tokens and of `cost_micros`: spent on summaries.
ALTER TABLE usage ADD COLUMN summary_turns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN summary_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN summary_micros INTEGER NOT NULL DEFAULT 0;
