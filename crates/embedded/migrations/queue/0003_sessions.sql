-- The session that received a task: its channel waits until what was missed before is read back.
ALTER TABLE tasks ADD COLUMN session TEXT;
