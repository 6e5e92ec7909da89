-- The channel in slow mode in which an execution writes for its person; NULL where it writes in none.
ALTER TABLE tool_executions ADD COLUMN wrote_in INTEGER;

CREATE INDEX tool_executions_in_slow_mode ON tool_executions (wrote_in, opened_at_ms)
WHERE wrote_in IS NOT NULL;

-- Whether a message shows a proposal is asked whenever it is to be changed.
CREATE INDEX approvals_of_message ON approvals (message_id) WHERE message_id IS NOT NULL;
