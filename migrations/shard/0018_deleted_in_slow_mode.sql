-- Slow mode asks who wrote in a channel lately, also what was deleted since.
CREATE INDEX messages_buried ON messages (guild_id, channel_id, message_id)
    WHERE deleted_at_ms IS NOT NULL AND buried_author_id <> 0;
