-- global.db: what is true of the whole store, beside the shard files.

-- What was fixed when the store was created; one row.
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    shards INTEGER NOT NULL CHECK (shards > 0),
    created_at_ms INTEGER NOT NULL
) STRICT;
