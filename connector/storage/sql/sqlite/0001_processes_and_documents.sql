-- Schema 1. Moments are whole microseconds since 1970; bodies are JSON in UTF-8.
-- Every row belongs to a participant context: by its own column, or through its process.

CREATE TABLE process (
  id INTEGER PRIMARY KEY,                     -- the order of creation, which lists go by
  participant TEXT NOT NULL,
  kind TEXT NOT NULL,
  pid TEXT NOT NULL,
  role TEXT NOT NULL,
  peer TEXT NOT NULL,
  opened_as TEXT,                             -- the peer's pid by which the peer began it; null when we did
  dataset TEXT NOT NULL,
  state TEXT,
  agreement_id TEXT,
  is_held INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX process_pid ON process (participant, pid);
-- decides who wins when a first message comes twice at once
CREATE UNIQUE INDEX process_opened ON process (participant, peer, opened_as, role, kind) WHERE opened_as IS NOT NULL;
CREATE INDEX process_listed ON process (participant, kind);
CREATE INDEX process_state ON process (state, kind);
CREATE INDEX process_agreement ON process (agreement_id) WHERE agreement_id IS NOT NULL;

-- what one transaction adds to a process: the peer's message that set it off, our answer to it, lines of the timeline
CREATE TABLE step (
  id INTEGER PRIMARY KEY,                     -- the order of the timeline
  process INTEGER NOT NULL REFERENCES process ON DELETE CASCADE,
  message_id TEXT,                            -- null when no message of the peer set it off
  answer BLOB,
  records BLOB NOT NULL,
  attempts BLOB NOT NULL
);
CREATE UNIQUE INDEX step_received ON step (process, message_id);

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY,
  process INTEGER NOT NULL REFERENCES process ON DELETE CASCADE,
  message_id TEXT NOT NULL,
  event TEXT NOT NULL,
  url TEXT NOT NULL,
  body BLOB NOT NULL,                         -- as it is posted
  is_harmless INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  free_at INTEGER NOT NULL,                   -- when it may be claimed: the end of the lease, else not_before
  node TEXT,                                  -- who has leased it
  UNIQUE (process, message_id)
);
CREATE INDEX outbox_free ON outbox (free_at);

CREATE TABLE due (
  id INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used twice: a late drop must not hit a younger row
  process INTEGER NOT NULL REFERENCES process ON DELETE CASCADE,
  body BLOB NOT NULL,
  not_before INTEGER NOT NULL,
  free_at INTEGER NOT NULL,
  node TEXT
);
CREATE INDEX due_free ON due (free_at);
CREATE INDEX due_process ON due (process);

CREATE TABLE agreement (
  seq INTEGER PRIMARY KEY,                    -- the order in which they were first kept, which lists go by
  participant TEXT NOT NULL,
  id TEXT NOT NULL,
  role TEXT NOT NULL,
  peer TEXT NOT NULL,
  dataset TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX agreement_id ON agreement (participant, id);

CREATE TABLE document (
  participant TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (participant, kind, id)
) WITHOUT ROWID;

-- how often the documents of a context were changed
CREATE TABLE revision (
  participant TEXT PRIMARY KEY,
  number INTEGER NOT NULL
) WITHOUT ROWID;
