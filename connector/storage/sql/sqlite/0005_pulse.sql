-- Schema 5: a row for each node, written to find out whether writes are taken.
CREATE TABLE pulse (
  node TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;
