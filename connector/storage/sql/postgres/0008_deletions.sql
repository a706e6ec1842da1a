-- Schema 8: which documents were deleted lately; with the earlier schema it was only known that one was.
ALTER TABLE document_change ADD COLUMN is_gone boolean NOT NULL DEFAULT false;
CREATE INDEX document_change_gone ON document_change (participant, revision) WHERE is_gone;

-- The next revision of a context, borne by a document.
CREATE OR REPLACE FUNCTION grow_revision(participant_ text, kind_ text, id_ text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  revision_ bigint;
BEGIN
  INSERT INTO revision AS kept (participant, number) VALUES (participant_, 1)
  ON CONFLICT (participant) DO UPDATE SET number = kept.number + 1 RETURNING number INTO revision_;
  INSERT INTO document_change (participant, kind, id, revision) VALUES (participant_, kind_, id_, revision_)
  ON CONFLICT (participant, kind, id) DO UPDATE SET revision = excluded.revision, is_gone = false;
END $$;

-- A deletion is known whoever deletes: beside us, during an upgrade, nodes of the release before do so by a statement of their own.
CREATE FUNCTION note_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM grow_revision(OLD.participant, OLD.kind, OLD.id);
  UPDATE document_change SET is_gone = true WHERE participant = OLD.participant AND kind = OLD.kind AND id = OLD.id;
  RETURN NULL;
END $$;
CREATE TRIGGER document_gone AFTER DELETE ON document FOR EACH ROW EXECUTE FUNCTION note_deletion();

-- True when there was such a document, which is gone now; of earlier deletions the last `kept_` revisions are known. That of three
-- arguments stays, for nodes of schema 7.
CREATE FUNCTION drop_document(participant_ text, kind_ text, id_ text, kept_ bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM document WHERE participant = participant_ AND kind = kind_ AND id = id_;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM document_change WHERE participant = participant_ AND is_gone
    AND revision < (SELECT number - kept_ FROM revision WHERE participant = participant_);
  RETURN true;
END $$;
