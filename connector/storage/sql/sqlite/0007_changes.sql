-- Schema 7: which documents of a context have changed since one of its revisions; those that are older than this table are not in it.
CREATE TABLE document_change (
  participant TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,                           -- kind and id are empty for the last deletion, whatever was deleted
  revision INTEGER NOT NULL,                  -- the one that the context had from then on
  PRIMARY KEY (participant, kind, id)
) WITHOUT ROWID;
CREATE INDEX document_change_revision ON document_change (participant, revision);
