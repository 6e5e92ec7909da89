-- How many people an act is done to, one at least: it counts so often against the bounds of an hour.
ALTER TABLE tool_executions ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;

-- What people had done of late, by guild: whoever opens one more looks here.
CREATE INDEX tool_executions_of_late ON tool_executions (guild_id, opened_at_ms)
WHERE decision = 'allow' AND principal_kind = 'person' AND tier IN ('reversible', 'destructive');
