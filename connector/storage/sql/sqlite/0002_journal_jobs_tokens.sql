-- Schema 2: streams that are only appended to, background work, tokens that were used.

-- where the kept part of a stream lies, with the digests at its two ends
CREATE TABLE journal_stream (
  participant TEXT NOT NULL,
  stream TEXT NOT NULL,
  before INTEGER NOT NULL,                    -- the last entry that was trimmed away; 0 when none was
  before_sha256 TEXT NOT NULL,
  last INTEGER NOT NULL,
  last_sha256 TEXT NOT NULL,
  PRIMARY KEY (participant, stream)
) WITHOUT ROWID;

CREATE TABLE journal (
  participant TEXT NOT NULL,
  stream TEXT NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  previous TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  body BLOB NOT NULL,                         -- canonical JSON, as it was digested
  PRIMARY KEY (participant, stream, number)
);
CREATE INDEX journal_at ON journal (participant, stream, at);

CREATE TABLE job (
  number INTEGER PRIMARY KEY AUTOINCREMENT,   -- the order in which they were put; never used twice
  participant TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  order_key TEXT,
  body BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  free_at INTEGER,                            -- when it may be claimed; null while it stands behind another, and when given up
  tries INTEGER NOT NULL DEFAULT 0,
  turn INTEGER NOT NULL DEFAULT 0,
  failures BLOB NOT NULL,
  node TEXT,
  given_up_at INTEGER,
  UNIQUE (participant, kind, id)
);
CREATE INDEX job_free ON job (kind, free_at, number) WHERE free_at IS NOT NULL;
CREATE INDEX job_lane ON job (participant, kind, order_key, number) WHERE order_key IS NOT NULL AND given_up_at IS NULL;
CREATE INDEX job_listed ON job (participant, number);

CREATE TABLE used_token (
  digest BLOB PRIMARY KEY,
  until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX used_token_until ON used_token (until);
