-- Acts that are to be done at a time: planned by somebody, or the end of what was done for a while.

CREATE TABLE scheduled_actions (
    scheduled_action_id TEXT PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    -- Where it was planned, and where its outcome is told.
    channel_id INTEGER NOT NULL,
    -- The execution that planned it.
    key TEXT NOT NULL UNIQUE,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    principal_kind TEXT NOT NULL CHECK (principal_kind IN ('person', 'rule', 'expiry')),
    principal_id TEXT NOT NULL,
    principal_version INTEGER,
    created_at_ms INTEGER NOT NULL,
    due_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'fired', 'cancelled')),
    ended_at_ms INTEGER,
    -- Who cancelled it, NULL if no person did.
    ended_by INTEGER,
    scheduled_task_id INTEGER NOT NULL REFERENCES scheduled_tasks (scheduled_task_id),
    CHECK ((state = 'waiting') = (ended_at_ms IS NULL))
) STRICT;

CREATE INDEX scheduled_actions_waiting ON scheduled_actions (guild_id, due_at_ms)
    WHERE state = 'waiting';

-- Invariant: an action is fired or cancelled once.
CREATE TRIGGER scheduled_actions_end_once
BEFORE UPDATE OF state, ended_at_ms, ended_by ON scheduled_actions WHEN OLD.state <> 'waiting'
BEGIN
    SELECT RAISE(ABORT, 'a scheduled action ends once');
END;
