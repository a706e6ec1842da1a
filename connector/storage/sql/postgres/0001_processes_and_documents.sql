-- Schema 1. Moments are whole microseconds since 1970; bodies are JSON in UTF-8, byte for byte as they were written.
-- Every row belongs to a participant context: by its own column, or through its process.
-- Texts that lists go by are compared by their code points, whatever the database's own collation is.

CREATE TABLE kontor_schema (version integer NOT NULL);
INSERT INTO kontor_schema VALUES (0);

CREATE TABLE process (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the order of creation, which lists go by
  version bigint NOT NULL DEFAULT 1,                    -- grows with every transaction on the process: who decided on an older one decides again
  participant text NOT NULL,
  kind text NOT NULL,
  pid text NOT NULL,
  role text NOT NULL,
  peer text NOT NULL,
  opened_as text,                                       -- the peer's pid by which the peer began it; null when we did
  dataset text NOT NULL,
  state text,
  agreement_id text,
  is_held boolean NOT NULL,
  body bytea NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX process_pid ON process (participant, pid);
-- decides who wins when a first message comes twice at once
CREATE UNIQUE INDEX process_opened ON process (participant, peer, opened_as, role, kind) WHERE opened_as IS NOT NULL;
CREATE INDEX process_listed ON process (participant, kind, id);
CREATE INDEX process_state ON process (state, kind);
CREATE INDEX process_agreement ON process (agreement_id) WHERE agreement_id IS NOT NULL;

-- what one transaction adds to a process: the peer's message that set it off, our answer to it, lines of the timeline
CREATE TABLE step (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the order of the timeline
  process bigint NOT NULL REFERENCES process ON DELETE CASCADE,
  message_id text,                                      -- null when no message of the peer set it off
  answer bytea,
  records bytea NOT NULL,
  attempts bytea NOT NULL
);
CREATE UNIQUE INDEX step_received ON step (process, message_id);

-- small tables with much coming and going: cleaned often, so that the next row is found without wading through dead ones
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  process bigint NOT NULL REFERENCES process ON DELETE CASCADE,
  message_id text NOT NULL,
  body bytea NOT NULL,
  tries integer NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  not_before bigint NOT NULL,
  free_at bigint NOT NULL,                              -- when it may be claimed: the end of the lease, else not_before
  node text,                                            -- who has leased it
  UNIQUE (process, message_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_free ON outbox (free_at, id);

CREATE TABLE due (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- never used twice: a late drop must not hit a younger row
  process bigint NOT NULL REFERENCES process ON DELETE CASCADE,
  body bytea NOT NULL,
  not_before bigint NOT NULL,
  free_at bigint NOT NULL,
  node text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX due_free ON due (free_at, id);
CREATE INDEX due_process ON due (process);

CREATE TABLE agreement (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order in which they were first kept, which lists go by
  participant text NOT NULL,
  id text NOT NULL,
  role text NOT NULL,
  peer text NOT NULL,
  negotiation text,
  dataset text NOT NULL,
  body bytea NOT NULL
);
CREATE UNIQUE INDEX agreement_id ON agreement (participant, id);

CREATE TABLE document (
  participant text NOT NULL,
  kind text NOT NULL,
  id text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (participant, kind, id)
);

-- how often the documents of a context were changed
CREATE TABLE revision (
  participant text PRIMARY KEY,
  number bigint NOT NULL
);

-- An agreement or the new version of one; nobody overwrites what was agreed with someone else (KT003).
CREATE FUNCTION keep_agreement(
  participant_ text, id_ text, role_ text, peer_ text, negotiation_ text, dataset_ text, body_ bytea, is_new_ boolean
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO agreement AS kept (participant, id, role, peer, negotiation, dataset, body)
  VALUES (participant_, id_, role_, peer_, negotiation_, dataset_, body_)
  ON CONFLICT (participant, id) DO UPDATE SET dataset = excluded.dataset, body = excluded.body
  WHERE NOT is_new_ AND kept.role = excluded.role AND kept.peer = excluded.peer
    AND kept.negotiation IS NOT DISTINCT FROM excluded.negotiation;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'KT003', MESSAGE = 'another agreement';
  END IF;
END $$;

-- All that one transaction writes, in one call. False, and nothing is written, when the process is not any more what was decided on.
-- A message that stands in the outbox already is KT002; a pid or a first message that is taken breaks its unique index.
CREATE FUNCTION write_change(
  process_ bigint, version_ bigint,                     -- what was decided on; null: there was none, this is a new one
  participant_ text, kind_ text, pid_ text, role_ text, peer_ text, opened_as_ text, dataset_ text,
  state_ text, agreement_id_ text, is_held_ boolean, body_ bytea,   -- body_ null: the process stays as it is
  received_ text, answer_ bytea, records_ bytea, attempts_ bytea,   -- records_ null: no step
  messages_ text[], messages_bodies_ bytea[], now_ bigint, free_at_ bigint, node_ text,
  removed_ text[], retries_ text[], retries_at_ bigint[], due_ bytea[], due_at_ bigint[],
  agreement_ text, agreement_role_ text, agreement_peer_ text, agreement_negotiation_ text, agreement_dataset_ text,
  agreement_body_ bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  at_ process.id%TYPE := process_;
BEGIN
  IF process_ IS NULL THEN
    INSERT INTO process (participant, kind, pid, role, peer, opened_as, dataset, state, agreement_id, is_held, body)
    VALUES (participant_, kind_, pid_, role_, peer_, opened_as_, dataset_, state_, agreement_id_, is_held_, body_)
    RETURNING id INTO at_;
  ELSIF body_ IS NULL THEN
    UPDATE process SET version = version + 1 WHERE id = process_ AND version = version_;
    IF NOT FOUND THEN RETURN false; END IF;
  ELSE
    UPDATE process SET version = version + 1, state = state_, agreement_id = agreement_id_, is_held = is_held_, body = body_
    WHERE id = process_ AND version = version_;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  FOR n IN 1 .. cardinality(messages_) LOOP
    INSERT INTO outbox (process, message_id, body, created_at, not_before, free_at, node)
    VALUES (at_, messages_[n], messages_bodies_[n], now_, now_, free_at_, node_)
    ON CONFLICT (process, message_id) DO NOTHING;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'KT002', MESSAGE = messages_[n];
    END IF;
  END LOOP;
  IF cardinality(removed_) > 0 THEN
    DELETE FROM outbox WHERE process = at_ AND message_id = ANY (removed_);
  END IF;
  FOR n IN 1 .. cardinality(retries_) LOOP
    UPDATE outbox SET tries = tries + 1, node = NULL, not_before = retries_at_[n], free_at = retries_at_[n]
    WHERE process = at_ AND message_id = retries_[n];
  END LOOP;
  IF records_ IS NOT NULL THEN
    INSERT INTO step (process, message_id, answer, records, attempts) VALUES (at_, received_, answer_, records_, attempts_);
  END IF;
  FOR n IN 1 .. cardinality(due_) LOOP
    INSERT INTO due (process, body, not_before, free_at) VALUES (at_, due_[n], due_at_[n], due_at_[n]);
  END LOOP;
  IF body_ IS NOT NULL AND state_ IN ('FINALIZED', 'COMPLETED', 'TERMINATED') THEN
    DELETE FROM due WHERE process = at_;
  END IF;
  IF agreement_ IS NOT NULL THEN
    PERFORM keep_agreement(
      participant_, agreement_, agreement_role_, agreement_peer_, agreement_negotiation_, agreement_dataset_, agreement_body_, false
    );
  END IF;
  RETURN true;
END $$;

-- A document's new version and its day of creation; when `expect_` is another version than it has, that one, and nothing is written.
CREATE FUNCTION write_document(
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
  INSERT INTO revision AS kept (participant, number) VALUES (participant_, 1)
  ON CONFLICT (participant) DO UPDATE SET number = kept.number + 1;
END $$;
