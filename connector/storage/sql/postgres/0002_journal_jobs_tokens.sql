-- Schema 2: streams that are only appended to, background work, tokens that were used.

-- where the kept part of a stream lies, with the digests at its two ends; its row is the lock that appends wait at
CREATE TABLE journal_stream (
  participant text NOT NULL,
  stream text COLLATE "C" NOT NULL,
  before bigint NOT NULL,                               -- the last entry that was trimmed away; 0 when none was
  before_sha256 text NOT NULL,
  last bigint NOT NULL,
  last_sha256 text NOT NULL,
  PRIMARY KEY (participant, stream)
) WITH (fillfactor = 50);

CREATE TABLE journal (
  participant text NOT NULL,
  stream text NOT NULL,
  number bigint NOT NULL,
  at bigint NOT NULL,
  previous text NOT NULL,
  sha256 text NOT NULL,
  body bytea NOT NULL,                                  -- canonical JSON, as it was digested
  PRIMARY KEY (participant, stream, number)
);
CREATE INDEX journal_at ON journal (participant, stream, at);

CREATE TABLE job (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the order in which they were put; never used twice
  participant text NOT NULL,
  kind text NOT NULL,
  id text NOT NULL,
  order_key text,
  body bytea NOT NULL,
  created_at bigint NOT NULL,
  not_before bigint NOT NULL,
  free_at bigint,                                       -- when it may be claimed; null while it stands behind another, and when given up
  tries integer NOT NULL DEFAULT 0,
  turn integer NOT NULL DEFAULT 0,
  failures bytea NOT NULL,
  node text,
  given_up_at bigint,
  UNIQUE (participant, kind, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX job_free ON job (kind, free_at, number) WHERE free_at IS NOT NULL;
CREATE INDEX job_lane ON job (participant, kind, order_key, number) WHERE order_key IS NOT NULL AND given_up_at IS NULL;
CREATE INDEX job_listed ON job (participant, number);

CREATE TABLE used_token (
  digest bytea PRIMARY KEY,
  until bigint NOT NULL
);
CREATE INDEX used_token_until ON used_token (until);

-- Number and digests of each entry that was appended, in order. All of them are written, or none.
CREATE FUNCTION append_to_journal(
  participant_ text, stream_ text, ats_ bigint[], bodies_ bytea[],
  OUT number_ bigint, OUT previous_ text, OUT sha256_ text
) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO journal_stream (participant, stream, before, before_sha256, last, last_sha256)
  VALUES (participant_, stream_, 0, repeat('0', 64), 0, repeat('0', 64)) ON CONFLICT DO NOTHING;
  SELECT last, last_sha256 INTO number_, sha256_ FROM journal_stream
  WHERE participant = participant_ AND stream = stream_ FOR UPDATE;
  FOR n IN 1 .. cardinality(ats_) LOOP
    number_ := number_ + 1;
    previous_ := sha256_;
    sha256_ := encode(sha256(
      convert_to(concat_ws(E'\n', previous_, participant_, stream_, number_, ats_[n]) || E'\n', 'UTF8') || bodies_[n]
    ), 'hex');
    INSERT INTO journal (participant, stream, number, at, previous, sha256, body)
    VALUES (participant_, stream_, number_, ats_[n], previous_, sha256_, bodies_[n]);
    RETURN NEXT;
  END LOOP;
  UPDATE journal_stream SET last = number_, last_sha256 = sha256_ WHERE participant = participant_ AND stream = stream_;
END $$;

-- How many entries were forgotten: the oldest, up to the first that is not older than `before_`.
CREATE FUNCTION trim_journal(participant_ text, stream_ text, before_ bigint, most_ integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  from_ bigint;
  upto_ bigint;
BEGIN
  SELECT before INTO from_ FROM journal_stream WHERE participant = participant_ AND stream = stream_ FOR UPDATE;
  IF NOT FOUND THEN RETURN 0; END IF;
  SELECT coalesce(min(number) FILTER (WHERE at >= before_) - 1, max(number)) INTO upto_ FROM (
    SELECT number, at FROM journal WHERE participant = participant_ AND stream = stream_ ORDER BY number LIMIT most_
  ) AS oldest;
  IF upto_ IS NULL OR upto_ <= from_ THEN RETURN 0; END IF;
  UPDATE journal_stream SET before = upto_, before_sha256 = (
    SELECT sha256 FROM journal WHERE participant = participant_ AND stream = stream_ AND number = upto_
  ) WHERE participant = participant_ AND stream = stream_;
  DELETE FROM journal WHERE participant = participant_ AND stream = stream_ AND number <= upto_;
  RETURN upto_ - from_;
END $$;

-- Jobs with one order key are numbered in the order of their commits: whoever puts or ends one holds the lane's lock until then.
CREATE FUNCTION lock_lane(participant_ text, kind_ text, order_key_ text) RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(E'\n', current_schema(), participant_, kind_, order_key_), 1))
  WHERE order_key_ IS NOT NULL
$$;

CREATE FUNCTION free_next_job(participant_ text, kind_ text, order_key_ text) RETURNS bigint LANGUAGE sql AS $$
  UPDATE job SET free_at = not_before WHERE free_at IS NULL AND number = (
    SELECT min(number) FROM job
    WHERE participant = participant_ AND kind = kind_ AND order_key = order_key_ AND given_up_at IS NULL
  ) RETURNING free_at
$$;

-- How many are new. Those that wait or run stay as they are; those that were given up begin anew.
CREATE FUNCTION put_jobs(
  participants_ text[], kinds_ text[], ids_ text[], order_keys_ text[], bodies_ bytea[], not_befores_ bigint[], now_ bigint
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  added_ integer := 0;
BEGIN
  -- in one order for all, so that two who put into the same lanes do not wait for each other in a circle
  PERFORM lock_lane(participant, kind, order_key) FROM (
    SELECT DISTINCT participant, kind, order_key FROM unnest(participants_, kinds_, order_keys_) AS lane (participant, kind, order_key)
    ORDER BY participant, kind, order_key
  ) AS lanes;
  FOR n IN 1 .. cardinality(ids_) LOOP
    DELETE FROM job WHERE participant = participants_[n] AND kind = kinds_[n] AND id = ids_[n] AND given_up_at IS NOT NULL;
    INSERT INTO job (participant, kind, id, order_key, body, created_at, not_before, free_at, failures)
    VALUES (participants_[n], kinds_[n], ids_[n], order_keys_[n], bodies_[n], now_, not_befores_[n], CASE WHEN NOT EXISTS (
      SELECT 1 FROM job
      WHERE participant = participants_[n] AND kind = kinds_[n] AND order_key = order_keys_[n] AND given_up_at IS NULL
    ) THEN not_befores_[n] END, '[]') ON CONFLICT DO NOTHING;
    IF FOUND THEN added_ := added_ + 1; END IF;
  END LOOP;
  RETURN added_;
END $$;

-- The end of a claimed job: forgotten, or kept as given up at `given_up_at_`. False when it is not the claimer's any more.
CREATE FUNCTION end_job(
  number_ bigint, turn_ integer, given_up_at_ bigint, failures_ bytea, participant_ text, kind_ text, order_key_ text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM lock_lane(participant_, kind_, order_key_);
  IF given_up_at_ IS NULL THEN
    DELETE FROM job WHERE number = number_ AND turn = turn_ AND node IS NOT NULL;
  ELSE
    UPDATE job SET node = NULL, free_at = NULL, given_up_at = given_up_at_, failures = failures_
    WHERE number = number_ AND turn = turn_ AND node IS NOT NULL;
  END IF;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM free_next_job(participant_, kind_, order_key_);
  RETURN true;
END $$;

-- True when there was such a job, which is forgotten now, whatever it was at.
CREATE FUNCTION drop_job(participant_ text, kind_ text, id_ text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  lane_ text;
BEGIN
  SELECT order_key INTO lane_ FROM job WHERE participant = participant_ AND kind = kind_ AND id = id_;
  PERFORM lock_lane(participant_, kind_, lane_);
  DELETE FROM job WHERE participant = participant_ AND kind = kind_ AND id = id_;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM free_next_job(participant_, kind_, lane_);
  RETURN true;
END $$;

-- True when there was a job that had been given up, which begins anew behind those of its lane.
CREATE FUNCTION revive_job(participant_ text, kind_ text, id_ text, now_ bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  kept_ job;
BEGIN
  SELECT * INTO kept_ FROM job WHERE participant = participant_ AND kind = kind_ AND id = id_ AND given_up_at IS NOT NULL;
  IF NOT FOUND THEN RETURN false; END IF;
  RETURN put_jobs(ARRAY[participant_], ARRAY[kind_], ARRAY[id_], ARRAY[kept_.order_key], ARRAY[kept_.body], ARRAY[now_], now_) = 1;
END $$;
