-- Which order of its asker's an execution carries out; empty if none. One order is carried out once.
ALTER TABLE tool_executions ADD COLUMN order_hash TEXT NOT NULL DEFAULT '';
