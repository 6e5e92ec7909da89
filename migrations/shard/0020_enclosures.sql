-- What messages show beside their text and their files: a JSON array, NULL if empty.
ALTER TABLE messages ADD COLUMN enclosures TEXT;
-- The message whose words a forward repeats, NULL if it is none: they are forgotten with that one's author.
-- It outlasts both, for a forward of the forward repeats them, too.
ALTER TABLE messages ADD COLUMN forward_of INTEGER;

CREATE INDEX messages_forwarding ON messages (forward_of) WHERE forward_of IS NOT NULL;

-- Invariant FORGOTTEN: a summary was made of them, too.
CREATE TRIGGER messages_enclosures_drop_summary
AFTER UPDATE OF enclosures ON messages
WHEN OLD.enclosures IS NOT NEW.enclosures
BEGIN
    DELETE FROM channel_summaries WHERE guild_id = OLD.guild_id AND channel_id = OLD.channel_id
        AND OLD.message_id BETWEEN first_message_id AND last_message_id;
    UPDATE summary_claims SET is_void = 1
    WHERE guild_id = OLD.guild_id AND channel_id = OLD.channel_id AND ended_at_ms IS NULL
        AND OLD.message_id BETWEEN first_message_id AND last_message_id;
END;
