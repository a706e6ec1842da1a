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

DROP FUNCTION drop_document(text, text, text);

-- True when there was such a document, which is gone now; of earlier deletions the last `kept_` revisions are known.
CREATE FUNCTION drop_document(participant_ text, kind_ text, id_ text, kept_ bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM document WHERE participant = participant_ AND kind = kind_ AND id = id_;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM grow_revision(participant_, kind_, id_);
  UPDATE document_change SET is_gone = true WHERE participant = participant_ AND kind = kind_ AND id = id_;
  DELETE FROM document_change WHERE participant = participant_ AND is_gone
    AND revision < (SELECT number - kept_ FROM revision WHERE participant = participant_);
  RETURN true;
END $$;
