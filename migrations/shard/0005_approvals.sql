-- Acts that wait for the click of a person who holds the right.

CREATE TABLE approvals (
    -- Cannot be guessed: it stands in the buttons.
    approval_id TEXT PRIMARY KEY,
    guild_id INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    thread_id BLOB NOT NULL REFERENCES task_threads (thread_id),
    -- The execution that proposed it.
    key TEXT NOT NULL UNIQUE,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    -- SHA-256 of tool, arguments, guild and asker, hex: what is carried out is what was shown.
    hash TEXT NOT NULL,
    asker_id INTEGER NOT NULL,
    bot_id INTEGER NOT NULL,
    -- The message that asked, NULL if none did: its deletion voids the approval.
    asking_message_id INTEGER,
    -- The message with the buttons, NULL until it was sent.
    message_id INTEGER,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    decision TEXT CHECK (decision IN ('approved', 'rejected', 'expired', 'void')),
    decided_by INTEGER,
    decided_at_ms INTEGER,
    -- By which its thread is woken: at its expiry, or once it is decided.
    scheduled_task_id INTEGER NOT NULL REFERENCES scheduled_tasks (scheduled_task_id),
    CHECK ((decision IS NULL) = (decided_at_ms IS NULL))
) STRICT;

CREATE INDEX approvals_of_thread ON approvals (thread_id);

-- Invariant: an approval is decided once.
CREATE TRIGGER approvals_decide_once
BEFORE UPDATE OF decision, decided_by, decided_at_ms ON approvals WHEN OLD.decision IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an approval is decided once');
END;

CREATE TRIGGER approvals_keep_act
BEFORE UPDATE OF approval_id, guild_id, channel_id, thread_id, key, tool, arguments, hash, asker_id,
    created_at_ms, expires_at_ms
ON approvals
BEGIN
    SELECT RAISE(ABORT, 'what is to be approved never changes');
END;

-- The approval that an execution proposed, or on which it stands.
ALTER TABLE tool_executions ADD COLUMN approval_id TEXT NOT NULL DEFAULT '';
