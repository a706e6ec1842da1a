-- Schema 8: which documents were deleted lately; with the earlier schema it was only known that one was.
ALTER TABLE document_change ADD COLUMN is_gone INTEGER NOT NULL DEFAULT 0;
CREATE INDEX document_change_gone ON document_change (participant, revision) WHERE is_gone = 1;
