-- Schema 3: the usage ledger. A book for each agreement, and the postings that it is made of.

CREATE TABLE book (
  id INTEGER PRIMARY KEY,
  participant TEXT NOT NULL,
  agreement TEXT NOT NULL,
  next_at INTEGER,                            -- the first moment at which something in it is due; null: never by itself
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX book_agreement ON book (participant, agreement);
CREATE INDEX book_next ON book (next_at) WHERE next_at IS NOT NULL;

-- only ever added to
CREATE TABLE posting (
  book INTEGER NOT NULL REFERENCES book ON DELETE CASCADE,
  number INTEGER NOT NULL,                    -- counts from 1 within its book
  key TEXT NOT NULL,                          -- what happened, once for all
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  facts BLOB NOT NULL,
  evidence TEXT NOT NULL,                     -- chained to that of the posting before
  result TEXT NOT NULL,
  PRIMARY KEY (book, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX posting_key ON posting (book, key);
