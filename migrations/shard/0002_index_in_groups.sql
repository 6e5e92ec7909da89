-- The search index takes new texts in once for each transaction, not once for each message: at
-- every savepoint it would write a piece of its own, to be merged later.

-- Messages whose text is not in the index yet. The writer empties it before it commits.
CREATE TABLE messages_unindexed (
    message_id INTEGER PRIMARY KEY
) STRICT;

DROP TRIGGER messages_fts_insert;
DROP TRIGGER messages_fts_update;
DROP TRIGGER messages_fts_delete;

CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages WHEN NEW.content <> ''
BEGIN
    INSERT INTO messages_unindexed (message_id) VALUES (NEW.message_id);
END;

-- An old text leaves the index at once; it is not in there while it waits.
CREATE TRIGGER messages_fts_update AFTER UPDATE OF content ON messages
WHEN OLD.content <> NEW.content
BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content)
    SELECT 'delete', OLD.message_id, OLD.content WHERE OLD.content <> ''
        AND NOT EXISTS (SELECT 1 FROM messages_unindexed WHERE message_id = OLD.message_id);
    DELETE FROM messages_unindexed WHERE message_id = OLD.message_id;
    INSERT INTO messages_unindexed (message_id) SELECT NEW.message_id WHERE NEW.content <> '';
END;

CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages WHEN OLD.content <> ''
BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content)
    SELECT 'delete', OLD.message_id, OLD.content
    WHERE NOT EXISTS (SELECT 1 FROM messages_unindexed WHERE message_id = OLD.message_id);
    DELETE FROM messages_unindexed WHERE message_id = OLD.message_id;
END;
