-- Schema 4. Which transaction wrote a step: ids are given before transactions end, so they alone are no order to follow.
ALTER TABLE step ADD COLUMN xact xid8 NOT NULL DEFAULT '0';
ALTER TABLE step ALTER COLUMN xact SET DEFAULT pg_current_xact_id();
CREATE INDEX step_feed ON step (xact, id);
