-- Schema 5: a row for each node, written to find out whether writes are taken.
CREATE TABLE pulse (
  node text PRIMARY KEY,
  at bigint NOT NULL,
  body bytea NOT NULL
) WITH (fillfactor = 50);
