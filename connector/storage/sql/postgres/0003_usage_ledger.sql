-- Schema 3: the usage ledger. A book for each agreement, and the postings that it is made of.

-- written again and again: room on the page for the next version
CREATE TABLE book (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  participant text NOT NULL,
  agreement text NOT NULL,
  next_at bigint,                                       -- the first moment at which something in it is due; null: never by itself
  body bytea NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX book_agreement ON book (participant, agreement);
CREATE INDEX book_next ON book (next_at, id) WHERE next_at IS NOT NULL;

-- only ever added to
CREATE TABLE posting (
  book bigint NOT NULL REFERENCES book ON DELETE CASCADE,
  number integer NOT NULL,                              -- counts from 1 within its book
  key text NOT NULL,                                    -- what happened, once for all
  kind text NOT NULL,
  at bigint NOT NULL,
  facts bytea NOT NULL,
  evidence text NOT NULL,                               -- chained to that of the posting before
  result text NOT NULL,
  PRIMARY KEY (book, number)
);
CREATE UNIQUE INDEX posting_key ON posting (book, key);

-- The book of an agreement, locked until the end of the transaction, made when there is none; and the result of a known key.
CREATE FUNCTION book_to_post(
  participant_ text, agreement_ text, key_ text, nothing_ bytea, OUT id_ bigint, OUT body_ bytea, OUT result_ text
) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    SELECT id, body INTO id_, body_ FROM book WHERE participant = participant_ AND agreement = agreement_ FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO book (participant, agreement, body) VALUES (participant_, agreement_, nothing_) ON CONFLICT DO NOTHING;
  END LOOP;
  SELECT result INTO result_ FROM posting WHERE book = id_ AND key = key_;
END $$;
