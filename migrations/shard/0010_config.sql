-- What communities set, in layers, and every change of it.

-- What is set in one place.
CREATE TABLE config_layers (
    -- The guild; in a direct message its channel; 0 for the installation, which lives in shard 0.
    home_id INTEGER NOT NULL,
    layer TEXT NOT NULL CHECK (layer IN ('global', 'server', 'channel', 'user')),
    -- The channel or the user; 0 for the installation and the guild.
    subject_id INTEGER NOT NULL,
    -- JSON object of values by path.
    document TEXT NOT NULL CHECK (json_valid(document)),
    PRIMARY KEY (home_id, layer, subject_id),
    CHECK ((layer = 'global') = (home_id = 0)),
    CHECK ((subject_id = 0) = (layer IN ('global', 'server')))
) STRICT, WITHOUT ROWID;

-- Who set what, and when. The newest version is the home's.
CREATE TABLE config_changes (
    home_id INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    -- Chosen by whoever asks, so that a repeat changes nothing.
    change_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- 0: the installation's operator, or somebody who is forgotten.
    author_id INTEGER NOT NULL,
    author_kind TEXT NOT NULL CHECK (author_kind IN ('member', 'operator')),
    note TEXT NOT NULL,
    -- JSON array: layer, subject, path, and the value before and after, null where none was set.
    changes TEXT NOT NULL CHECK (json_valid(changes)),
    PRIMARY KEY (home_id, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX config_changes_by_id ON config_changes (home_id, change_id);
