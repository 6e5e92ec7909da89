-- What is needed to forget a person, and to let data go by age.

-- How far a deletion has come in this file.
CREATE TABLE deletions (
    deletion_id TEXT PRIMARY KEY,
    -- What is done next; steps go in order.
    step INTEGER NOT NULL,
    -- How far the step has come: the last row's key that was looked at; empty at its beginning.
    cursor BLOB NOT NULL,
    -- Once no step is left.
    erased_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- While a deletion goes on: the messages that it takes away, and those that name the person.
CREATE TABLE deletion_messages (
    deletion_id TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    -- 1: the person said it. 0: it names the person.
    is_theirs INTEGER NOT NULL,
    PRIMARY KEY (deletion_id, message_id)
) STRICT, WITHOUT ROWID;

-- While a deletion goes on: the threads that may have read or written of the person.
CREATE TABLE deletion_threads (
    deletion_id TEXT NOT NULL,
    thread_id BLOB NOT NULL,
    -- Once its text is gone. One that still runs needs its journal until it ends.
    redacted_at_ms INTEGER,
    PRIMARY KEY (deletion_id, thread_id)
) STRICT, WITHOUT ROWID;

-- How far each kind of data was looked through for what is past its time.
CREATE TABLE sweeps (
    kind TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who said what was deleted since: by it the journals are found that may quote it.
ALTER TABLE messages ADD COLUMN buried_author_id INTEGER NOT NULL DEFAULT 0;

-- When the text of a row was emptied: the row itself stays.
ALTER TABLE task_threads ADD COLUMN redacted_at_ms INTEGER;
ALTER TABLE tool_executions ADD COLUMN redacted_at_ms INTEGER;
ALTER TABLE approvals ADD COLUMN redacted_at_ms INTEGER;
ALTER TABLE scheduled_actions ADD COLUMN redacted_at_ms INTEGER;

-- Whom it was done to, once that person is forgotten: the same for all cases of one person.
ALTER TABLE moderation_logs ADD COLUMN target_pseudonym TEXT NOT NULL DEFAULT '';

-- The audit stays append-only but for the redaction, which empties text and takes people's ids away,
-- and which nothing takes back.
DROP TRIGGER tool_executions_keep_decision;

CREATE TRIGGER tool_executions_keep_decision
BEFORE UPDATE OF execution_id, key, thread_id, guild_id, channel_id, epoch, tool, principal_kind,
    principal_version, tier, decision, opened_at_ms
ON tool_executions
BEGIN
    SELECT RAISE(ABORT, 'what was decided of an execution never changes');
END;

CREATE TRIGGER tool_executions_keep_call
BEFORE UPDATE OF arguments, arguments_hash, principal_id, approver_id, decision_reason, audit_reason
ON tool_executions
WHEN NEW.redacted_at_ms IS NULL
    OR NEW.arguments <> '' OR NEW.arguments_hash <> '' OR NEW.decision_reason <> ''
    OR NEW.audit_reason <> '' OR NEW.approver_id NOT IN (OLD.approver_id, 0)
BEGIN
    SELECT RAISE(ABORT, 'what was decided of an execution never changes');
END;

CREATE TRIGGER tool_executions_stay_redacted
BEFORE UPDATE OF redacted_at_ms, result ON tool_executions
WHEN OLD.redacted_at_ms IS NOT NULL AND (NEW.redacted_at_ms IS NULL OR NEW.result <> '')
BEGIN
    SELECT RAISE(ABORT, 'what was emptied stays empty');
END;

DROP TRIGGER approvals_keep_act;
DROP TRIGGER approvals_decide_once;

CREATE TRIGGER approvals_keep_act
BEFORE UPDATE OF approval_id, guild_id, channel_id, thread_id, key, tool, created_at_ms, expires_at_ms
ON approvals
BEGIN
    SELECT RAISE(ABORT, 'what is to be approved never changes');
END;

CREATE TRIGGER approvals_keep_call
BEFORE UPDATE OF arguments, hash, asker_id ON approvals
WHEN NEW.redacted_at_ms IS NULL OR NEW.decision IS NULL
    OR NEW.arguments <> '' OR NEW.hash <> '' OR NEW.asker_id NOT IN (OLD.asker_id, 0)
BEGIN
    SELECT RAISE(ABORT, 'what is to be approved never changes');
END;

CREATE TRIGGER approvals_decide_once
BEFORE UPDATE OF decision, decided_by, decided_at_ms ON approvals
WHEN OLD.decision IS NOT NULL AND (NEW.redacted_at_ms IS NULL OR NEW.decided_by IS NOT NULL
    OR NEW.decision IS NOT OLD.decision OR NEW.decided_at_ms IS NOT OLD.decided_at_ms)
BEGIN
    SELECT RAISE(ABORT, 'an approval is decided once');
END;

DROP TRIGGER scheduled_actions_end_once;

CREATE TRIGGER scheduled_actions_end_once
BEFORE UPDATE OF state, ended_at_ms, ended_by ON scheduled_actions
WHEN OLD.state <> 'waiting' AND (NEW.redacted_at_ms IS NULL OR NEW.ended_by IS NOT NULL
    OR NEW.state IS NOT OLD.state OR NEW.ended_at_ms IS NOT OLD.ended_at_ms)
BEGIN
    SELECT RAISE(ABORT, 'a scheduled action ends once');
END;
