-- Every statement that the PostgreSQL adapter runs, by name.

-- name: process_by_pid
SELECT id, version, body, (SELECT answer FROM step WHERE process = p.id AND message_id = $4)
FROM process AS p WHERE participant = $1 AND pid = $2 AND kind = $3

-- name: opening
SELECT p.body, a.body FROM process AS p LEFT JOIN agreement AS a ON a.participant = p.participant AND a.id = p.agreement_id
WHERE p.participant = $1 AND p.pid = $2 AND p.kind = $3

-- name: process_by_peer
SELECT id, version, body, (SELECT answer FROM step WHERE process = p.id AND message_id = $6)
FROM process AS p WHERE participant = $1 AND peer = $2 AND opened_as = $3 AND role = $4 AND kind = $5

-- name: lock_process
SELECT 1 FROM process WHERE id = $1 FOR UPDATE

-- name: write_change
SELECT write_change(
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
  $28, $29, $30, $31, $32, $33
)

-- name: claim_messages
WITH free AS (
  SELECT id, free_at FROM outbox WHERE free_at <= $1 ORDER BY free_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE outbox AS o SET node = $3, free_at = $4 FROM free WHERE o.id = free.id
  RETURNING o.id, free.free_at AS waited_since, o.process, o.body, o.tries, o.created_at
)
SELECT p.kind, p.participant, p.pid, p.peer, l.body, l.tries, l.created_at
FROM leased AS l JOIN process AS p ON p.id = l.process ORDER BY l.waited_since, l.id

-- name: claim_due
WITH free AS (
  SELECT id, free_at FROM due WHERE free_at <= $1 ORDER BY free_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE due AS d SET node = $3, free_at = $4 FROM free WHERE d.id = free.id
  RETURNING d.id, free.free_at AS waited_since, d.process, d.body
)
SELECT l.id, p.kind, p.participant, p.pid, l.body
FROM leased AS l JOIN process AS p ON p.id = l.process ORDER BY l.waited_since, l.id

-- name: drop_due
DELETE FROM due WHERE id = ANY ($1::bigint[])

-- name: release
WITH messages AS (
  UPDATE outbox SET node = NULL, free_at = not_before WHERE node = $1 RETURNING free_at
), acts AS (
  UPDATE due SET node = NULL, free_at = not_before WHERE node = $1 RETURNING free_at
)
SELECT least((SELECT min(free_at) FROM messages), (SELECT min(free_at) FROM acts))

-- name: next_moment
SELECT least((SELECT min(free_at) FROM outbox), (SELECT min(free_at) FROM due))

-- name: running
SELECT participant, pid FROM process
WHERE (state = ANY ($1::text[]) OR (state IS NULL AND array_position($1::text[], NULL) IS NOT NULL)) AND kind = $2 ORDER BY id

-- name: find
SELECT kind FROM process WHERE participant = $1 AND pid = $2

-- name: steps
SELECT records, attempts FROM step WHERE process = $1 ORDER BY id

-- name: pending
SELECT p.kind, p.participant, p.pid, p.peer, o.body, o.tries, o.created_at
FROM outbox AS o JOIN process AS p ON p.id = o.process WHERE o.process = $1 ORDER BY o.id

-- name: waiting_due
SELECT body FROM due WHERE process = $1 ORDER BY not_before, id

-- name: agreement
SELECT body FROM agreement WHERE participant = $1 AND id = $2

-- name: keep_agreement
SELECT keep_agreement($1, $2, $3, $4, $5, $6, $7, $8)

-- name: document
SELECT id, version, created_at, updated_at, body FROM document WHERE participant = $1 AND kind = $2 AND id = $3

-- name: documents
SELECT c.total, d.id, d.version, d.created_at, d.updated_at, d.body
FROM (SELECT count(*) AS total FROM document WHERE participant = $1 AND kind = $2) AS c
LEFT JOIN (
  SELECT id, version, created_at, updated_at, body FROM document
  WHERE participant = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4
) AS d ON true ORDER BY d.id

-- name: write_document
SELECT is_written, version_, since_ FROM write_document($1, $2, $3, $4, $5, $6, $7)

-- name: delete_document
SELECT drop_document($1, $2, $3, $4)

-- name: revision
SELECT number FROM revision WHERE participant = $1

-- name: documents_since
SELECT (SELECT number FROM revision WHERE participant = $1), c.kind, c.id, d.version, d.created_at, d.updated_at, d.body
FROM document_change AS c LEFT JOIN document AS d ON d.participant = c.participant AND d.kind = c.kind AND d.id = c.id
WHERE c.participant = $1 AND c.revision > $2 LIMIT $3

-- name: claim_node_id
SELECT pg_try_advisory_lock($1, hashtext(current_schema() || ' ' || $2))

-- name: tell
SELECT pg_notify($1, $2)

-- name: append_to_journal
SELECT number_, previous_, sha256_ FROM append_to_journal($1, $2, $3, $4)

-- name: journal_chain
SELECT before, before_sha256, last, last_sha256 FROM journal_stream WHERE participant = $1 AND stream = $2

-- name: journal_streams
SELECT stream FROM journal_stream WHERE participant = $1 ORDER BY stream

-- name: trim_journal
SELECT trim_journal($1, $2, $3, $4)

-- name: put_jobs
SELECT put_jobs($1, $2, $3, $4, $5, $6, $7)

-- name: claim_jobs
WITH free AS (
  SELECT number, free_at FROM job WHERE kind = ANY ($1::text[]) AND free_at <= $2
  ORDER BY free_at, number LIMIT $3 FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE job AS j SET node = $4, free_at = $5, tries = tries + 1, turn = turn + 1 FROM free WHERE j.number = free.number
  RETURNING j.*, free.free_at AS waited_since
)
SELECT number, participant, kind, id, order_key, body, created_at, not_before, tries, turn, failures, node, given_up_at
FROM leased ORDER BY waited_since, number

-- name: keep_job
UPDATE job SET free_at = $3 WHERE number = $1 AND turn = $2 AND node IS NOT NULL RETURNING true

-- name: end_job
SELECT end_job($1, $2, $3, $4, $5, $6, $7)

-- name: put_off_job
UPDATE job SET node = NULL, not_before = $3, free_at = $3, failures = $4, tries = CASE WHEN $5::boolean THEN tries ELSE 0 END
WHERE number = $1 AND turn = $2 AND node IS NOT NULL RETURNING true

-- name: revive_job
SELECT revive_job($1, $2, $3, $4)

-- name: drop_job
SELECT drop_job($1, $2, $3)

-- name: job
SELECT number, participant, kind, id, order_key, body, created_at, not_before, tries, turn, failures, node, given_up_at
FROM job WHERE participant = $1 AND kind = $2 AND id = $3

-- name: next_job
SELECT min(free_at) FROM job WHERE kind = ANY ($1::text[]) AND free_at IS NOT NULL

-- name: release_jobs
UPDATE job SET node = NULL, free_at = not_before WHERE node = $1

-- name: use_token
INSERT INTO used_token AS kept (digest, until) VALUES ($1, $2)
ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE kept.until <= $3 RETURNING true

-- name: forget_tokens
-- over by the clock of the database, too: a replica whose own is fast must not forget what is used at the others
DELETE FROM used_token WHERE digest IN (
  SELECT digest FROM used_token WHERE until <= least($1, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint)
  LIMIT 1000 FOR UPDATE SKIP LOCKED
)

-- name: book
SELECT body FROM book WHERE participant = $1 AND agreement = $2

-- name: book_to_post
SELECT id_, body_, result_ FROM book_to_post($1, $2, $3, $4)

-- name: write_posting
WITH written AS (
  UPDATE book SET next_at = $2, body = $3 WHERE id = $1
)
INSERT INTO posting (book, number, key, kind, at, facts, evidence, result) VALUES ($1, $4, $5, $6, $7, $8, $9, $10)

-- name: postings
SELECT p.number, p.key, p.kind, p.at, p.facts, p.evidence FROM posting AS p JOIN book AS b ON b.id = p.book
WHERE b.participant = $1 AND b.agreement = $2 AND p.number < $3 ORDER BY p.number DESC LIMIT $4

-- name: due_books
SELECT participant, agreement FROM book WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2

-- name: next_book
SELECT min(next_at) FROM book

-- name: feed
SELECT s.xact::text, s.id, p.kind, p.participant, p.pid, p.role, p.peer, p.dataset, p.agreement_id, s.records
FROM step AS s JOIN process AS p ON p.id = s.process
WHERE p.participant = $1 AND (s.xact, s.id) > ($2::text::xid8, $3::bigint)
  AND s.xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY s.xact, s.id LIMIT $4

-- name: feed_bounds
SELECT e.xact::text, e.id, n.coming::text, (SELECT s.xact::text FROM step AS s WHERE s.xact > '0' ORDER BY s.xact, s.id LIMIT 1),
  (SELECT id FROM step WHERE xact = '0' ORDER BY id DESC LIMIT 1)
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS coming) AS n
LEFT JOIN LATERAL (SELECT xact, id FROM step WHERE xact < n.coming ORDER BY xact DESC, id DESC LIMIT 1) AS e ON true

-- name: feed_end
-- an order by `xact` alone would be that of the text beside it
SELECT s.xact::text, s.id FROM step AS s WHERE s.xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY s.xact DESC, s.id DESC LIMIT 1

-- name: several
SELECT p.body FROM unnest($2::text[], $3::text[]) AS k (participant, pid)
JOIN process AS p ON p.participant = k.participant AND p.pid = k.pid AND p.kind = $1

-- name: pulse
INSERT INTO pulse (node, at, body) VALUES ($1, $2, $3)
ON CONFLICT (node) DO UPDATE SET at = excluded.at, body = excluded.body RETURNING clock_timestamp()

-- name: ended
SELECT id, body FROM process WHERE state = ANY ($1::text[]) AND kind = $2 AND id > $3 ORDER BY id LIMIT $4

-- name: forget_processes
WITH gone AS (
  DELETE FROM process AS p USING unnest($2::text[], $3::text[]) AS k (participant, pid)
  WHERE p.participant = k.participant AND p.pid = k.pid AND p.kind = $1 AND p.state IN ('FINALIZED', 'COMPLETED', 'TERMINATED')
  AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.process = p.id) RETURNING 1
)
SELECT count(*) FROM gone

-- name: compact_steps
WITH compacted AS (
  UPDATE step AS s SET message_id = NULL, answer = NULL, attempts = '[]'
  FROM unnest($2::text[], $3::text[]) AS k (participant, pid)
  JOIN process AS p ON p.participant = k.participant AND p.pid = k.pid AND p.kind = $1
    AND p.state IN ('FINALIZED', 'COMPLETED', 'TERMINATED')
  WHERE s.process = p.id AND (s.message_id IS NOT NULL OR s.attempts <> '[]') RETURNING s.process
)
SELECT count(DISTINCT process) FROM compacted

-- name: forget_jobs
WITH gone AS (DELETE FROM job WHERE participant = $1 AND given_up_at < $2 RETURNING 1) SELECT count(*) FROM gone

-- name: held
SELECT count(*) FROM process WHERE participant = $1 AND peer = $2 AND kind = $3 AND is_held
