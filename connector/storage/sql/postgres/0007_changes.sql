-- Schema 7: which documents of a context have changed since one of its revisions; those that are older than this table are not in it.
CREATE TABLE document_change (
  participant text NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,                                     -- kind and id are empty for the last deletion, whatever was deleted
  revision bigint NOT NULL,                             -- the one that the context had from then on
  PRIMARY KEY (participant, kind, id)
);
CREATE INDEX document_change_revision ON document_change (participant, revision);

-- The next revision of a context, borne by a document, or by the last deletion.
CREATE FUNCTION grow_revision(participant_ text, kind_ text, id_ text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  revision_ bigint;
BEGIN
  INSERT INTO revision AS kept (participant, number) VALUES (participant_, 1)
  ON CONFLICT (participant) DO UPDATE SET number = kept.number + 1 RETURNING number INTO revision_;
  INSERT INTO document_change (participant, kind, id, revision) VALUES (participant_, kind_, id_, revision_)
  ON CONFLICT (participant, kind, id) DO UPDATE SET revision = excluded.revision;
END $$;

-- A document's new version and its day of creation; when `expect_` is another version than it has, that one, and nothing is written.
CREATE OR REPLACE FUNCTION write_document(
  participant_ text, kind_ text, id_ text, expect_ integer, created_at_ bigint, updated_at_ bigint, body_ bytea,
  OUT is_written boolean, OUT version_ integer, OUT since_ bigint
) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    SELECT version, created_at INTO version_, since_ FROM document
    WHERE participant = participant_ AND kind = kind_ AND id = id_ FOR UPDATE;
    version_ := coalesce(version_, 0);
    is_written := expect_ IS NULL OR expect_ = version_;
    IF NOT is_written THEN RETURN; END IF;
    IF version_ > 0 THEN
      UPDATE document SET version = version_ + 1, updated_at = updated_at_, body = body_
      WHERE participant = participant_ AND kind = kind_ AND id = id_;
      EXIT;
    END IF;
    INSERT INTO document (participant, kind, id, version, created_at, updated_at, body)
    VALUES (participant_, kind_, id_, 1, created_at_, updated_at_, body_) ON CONFLICT DO NOTHING;
    -- somebody else may have been quicker: look again
    since_ := created_at_;
    EXIT WHEN FOUND;
  END LOOP;
  version_ := version_ + 1;
  PERFORM grow_revision(participant_, kind_, id_);
END $$;

-- True when there was such a document, which is gone now.
CREATE FUNCTION drop_document(participant_ text, kind_ text, id_ text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM document WHERE participant = participant_ AND kind = kind_ AND id = id_;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM grow_revision(participant_, '', '');
  DELETE FROM document_change WHERE participant = participant_ AND kind = kind_ AND id = id_;
  RETURN true;
END $$;
