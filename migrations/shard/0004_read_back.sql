-- The session before which all that was missed of the guild was read back last, and when it told the
-- guild.
ALTER TABLE servers ADD COLUMN read_back_session TEXT NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN read_back_told_at_ms INTEGER;
