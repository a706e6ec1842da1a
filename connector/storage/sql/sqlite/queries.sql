-- Every statement that the SQLite adapter runs, by name. Parameters stand in the order of the call.

-- name: process_by_pid
SELECT id, body, (SELECT answer FROM step WHERE process = p.id AND message_id = ?4)
FROM process AS p WHERE participant = ?1 AND pid = ?2 AND kind = ?3

-- name: opening
SELECT p.body, a.body FROM process AS p LEFT JOIN agreement AS a ON a.participant = p.participant AND a.id = p.agreement_id
WHERE p.participant = ?1 AND p.pid = ?2 AND p.kind = ?3

-- name: process_by_peer
SELECT id, body, (SELECT answer FROM step WHERE process = p.id AND message_id = ?6)
FROM process AS p WHERE participant = ?1 AND peer = ?2 AND opened_as = ?3 AND role = ?4 AND kind = ?5

-- name: insert_process
INSERT INTO process (participant, kind, pid, role, peer, opened_as, dataset, state, agreement_id, is_held, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_process
UPDATE process SET body = ?, is_held = ?, state = ?, agreement_id = ? WHERE id = ?

-- name: update_process_body
UPDATE process SET body = ?, is_held = ? WHERE id = ?

-- name: insert_step
INSERT INTO step (process, message_id, answer, records, attempts) VALUES (?, ?, ?, ?, ?)

-- name: insert_message
INSERT INTO outbox (process, message_id, event, url, body, is_harmless, created_at, not_before, free_at, node)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)

-- name: delete_message
DELETE FROM outbox WHERE process = ? AND message_id = ?

-- name: put_off_message
UPDATE outbox SET tries = tries + 1, node = NULL, not_before = ?1, free_at = ?1 WHERE process = ?2 AND message_id = ?3

-- name: insert_due
INSERT INTO due (process, body, not_before, free_at) VALUES (?1, ?2, ?3, ?3)

-- name: delete_due_of
DELETE FROM due WHERE process = ?

-- name: free_messages
SELECT o.id, p.kind, p.participant, p.pid, p.peer, o.tries, o.created_at, o.message_id, o.event, o.url, o.body, o.is_harmless
FROM outbox AS o JOIN process AS p ON p.id = o.process WHERE o.free_at <= ? ORDER BY o.free_at, o.id LIMIT ?

-- name: lease_message
UPDATE outbox SET node = ?, free_at = ? WHERE id = ?

-- name: free_due
SELECT d.id, p.kind, p.participant, p.pid, d.body
FROM due AS d JOIN process AS p ON p.id = d.process WHERE d.free_at <= ? ORDER BY d.free_at, d.id LIMIT ?

-- name: lease_due
UPDATE due SET node = ?, free_at = ? WHERE id = ?

-- name: delete_due
DELETE FROM due WHERE id = ?

-- name: release_messages
UPDATE outbox SET node = NULL, free_at = not_before WHERE node = ?

-- name: release_due
UPDATE due SET node = NULL, free_at = not_before WHERE node = ?

-- name: next_moment
SELECT min(free_at) FROM (SELECT min(free_at) AS free_at FROM outbox UNION ALL SELECT min(free_at) FROM due)

-- name: running
SELECT participant, pid FROM process WHERE state IS ? AND kind = ? ORDER BY id

-- name: find
SELECT kind FROM process WHERE participant = ? AND pid = ?

-- name: steps
SELECT records, attempts FROM step WHERE process = ? ORDER BY id

-- name: pending
SELECT o.id, p.kind, p.participant, p.pid, p.peer, o.tries, o.created_at, o.message_id, o.event, o.url, o.body, o.is_harmless
FROM outbox AS o JOIN process AS p ON p.id = o.process WHERE o.process = ? ORDER BY o.id

-- name: waiting_due
SELECT body FROM due WHERE process = ? ORDER BY not_before, id

-- name: agreement
SELECT body FROM agreement WHERE participant = ? AND id = ?

-- name: put_agreement
INSERT INTO agreement (participant, id, role, peer, dataset, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (participant, id) DO UPDATE SET dataset = excluded.dataset, body = excluded.body

-- name: document
SELECT version, created_at, updated_at, body FROM document WHERE participant = ? AND kind = ? AND id = ?

-- name: documents
SELECT id, version, created_at, updated_at, body FROM document
WHERE participant = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?

-- name: count_documents
SELECT count(*) FROM document WHERE participant = ? AND kind = ?

-- name: put_document
INSERT INTO document (participant, kind, id, version, created_at, updated_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (participant, kind, id) DO UPDATE
SET version = excluded.version, updated_at = excluded.updated_at, body = excluded.body

-- name: delete_document
DELETE FROM document WHERE participant = ? AND kind = ? AND id = ?

-- name: revision
SELECT number FROM revision WHERE participant = ?

-- name: documents_since
SELECT (SELECT number FROM revision WHERE participant = c.participant), c.kind, c.id, d.version, d.created_at, d.updated_at, d.body
FROM document_change AS c LEFT JOIN document AS d ON d.participant = c.participant AND d.kind = c.kind AND d.id = c.id
WHERE c.participant = ? AND c.revision > ? LIMIT ?

-- name: grow_revision
INSERT INTO revision (participant, number) VALUES (?, 1) ON CONFLICT (participant) DO UPDATE SET number = number + 1

-- name: note_change
INSERT INTO document_change (participant, kind, id, revision, is_gone)
VALUES (?1, ?2, ?3, (SELECT number FROM revision WHERE participant = ?1), ?4)
ON CONFLICT (participant, kind, id) DO UPDATE SET revision = excluded.revision, is_gone = excluded.is_gone

-- name: forget_deletions
DELETE FROM document_change
WHERE participant = ?1 AND is_gone = 1 AND revision < (SELECT number - ?2 FROM revision WHERE participant = ?1)

-- name: journal_chain
SELECT before, before_sha256, last, last_sha256 FROM journal_stream WHERE participant = ? AND stream = ?

-- name: put_journal_chain
INSERT INTO journal_stream (participant, stream, before, before_sha256, last, last_sha256) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (participant, stream) DO UPDATE SET before = excluded.before, before_sha256 = excluded.before_sha256,
  last = excluded.last, last_sha256 = excluded.last_sha256

-- name: insert_journal_entry
INSERT INTO journal (participant, stream, number, at, previous, sha256, body) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: journal_streams
SELECT stream FROM journal_stream WHERE participant = ? ORDER BY stream

-- name: oldest_journal_entries
SELECT number, at, sha256 FROM journal WHERE participant = ? AND stream = ? ORDER BY number LIMIT ?

-- name: trim_journal
DELETE FROM journal WHERE participant = ? AND stream = ? AND number <= ?

-- name: job
SELECT number, participant, kind, id, order_key, body, created_at, not_before, tries, turn, failures, node, given_up_at
FROM job WHERE participant = ? AND kind = ? AND id = ?

-- name: insert_job
INSERT INTO job (participant, kind, id, order_key, body, created_at, not_before, free_at, failures)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, iif(?4 IS NOT NULL AND EXISTS (
  SELECT 1 FROM job WHERE participant = ?1 AND kind = ?2 AND order_key = ?4 AND given_up_at IS NULL
), NULL, ?7), ?8)

-- name: free_jobs
SELECT number, participant, kind, id, order_key, body, created_at, not_before, tries + 1, turn + 1, failures, ?4, given_up_at
FROM job WHERE kind = ?1 AND free_at IS NOT NULL AND free_at <= ?2 ORDER BY free_at, number LIMIT ?3

-- name: lease_job
UPDATE job SET node = ?, free_at = ?, tries = tries + 1, turn = turn + 1 WHERE number = ?

-- name: keep_job
UPDATE job SET free_at = ? WHERE number = ? AND turn = ? AND node IS NOT NULL

-- name: end_job
DELETE FROM job WHERE number = ? AND turn = ? AND node IS NOT NULL

-- name: put_off_job
UPDATE job SET node = NULL, not_before = ?1, free_at = ?1, failures = ?2, tries = iif(?3, tries, 0)
WHERE number = ?4 AND turn = ?5 AND node IS NOT NULL

-- name: give_up_job
UPDATE job SET node = NULL, free_at = NULL, given_up_at = ?, failures = ? WHERE number = ? AND turn = ? AND node IS NOT NULL

-- name: drop_job
DELETE FROM job WHERE participant = ? AND kind = ? AND id = ?

-- name: free_next_job
UPDATE job SET free_at = not_before WHERE free_at IS NULL AND number = (
  SELECT min(number) FROM job WHERE participant = ? AND kind = ? AND order_key = ? AND given_up_at IS NULL
)

-- name: next_job
SELECT min(free_at) FROM job WHERE kind = ? AND free_at IS NOT NULL

-- name: release_jobs
UPDATE job SET node = NULL, free_at = not_before WHERE node = ?

-- name: use_token
INSERT INTO used_token (digest, until) VALUES (?1, ?2)
ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE until <= ?3

-- name: forget_tokens
DELETE FROM used_token WHERE digest IN (SELECT digest FROM used_token WHERE until <= ? LIMIT 1000)

-- name: book
SELECT body FROM book WHERE participant = ? AND agreement = ?

-- name: book_to_post
SELECT id, body, (SELECT result FROM posting WHERE book = b.id AND key = ?3)
FROM book AS b WHERE participant = ?1 AND agreement = ?2

-- name: insert_book
INSERT INTO book (participant, agreement, next_at, body) VALUES (?, ?, ?, ?)

-- name: update_book
UPDATE book SET next_at = ?, body = ? WHERE id = ?

-- name: insert_posting
INSERT INTO posting (book, number, key, kind, at, facts, evidence, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: postings
SELECT p.number, p.key, p.kind, p.at, p.facts, p.evidence FROM posting AS p JOIN book AS b ON b.id = p.book
WHERE b.participant = ? AND b.agreement = ? AND p.number < ? ORDER BY p.number DESC LIMIT ?

-- name: due_books
SELECT participant, agreement FROM book WHERE next_at <= ? ORDER BY next_at, id LIMIT ?

-- name: next_book
SELECT min(next_at) FROM book WHERE next_at IS NOT NULL

-- name: feed
SELECT s.id, p.kind, p.participant, p.pid, p.role, p.peer, p.dataset, p.agreement_id, s.records
FROM step AS s JOIN process AS p ON p.id = s.process
WHERE p.participant = ? AND s.id > ? ORDER BY s.id LIMIT ?

-- name: feed_end
SELECT coalesce(max(id), 0) FROM step

-- name: pulse
INSERT INTO pulse (node, at, body) VALUES (?, ?, ?) ON CONFLICT (node) DO UPDATE SET at = excluded.at, body = excluded.body

-- name: ended
SELECT id, body FROM process WHERE state = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?

-- name: forget_process
DELETE FROM process WHERE participant = ? AND pid = ? AND kind = ? AND state IN ('FINALIZED', 'COMPLETED', 'TERMINATED')
AND NOT EXISTS (SELECT 1 FROM outbox WHERE process = process.id)

-- name: compact_steps
UPDATE step SET message_id = NULL, answer = NULL, attempts = CAST('[]' AS BLOB)
WHERE (message_id IS NOT NULL OR attempts <> CAST('[]' AS BLOB)) AND process = (
  SELECT id FROM process WHERE participant = ? AND pid = ? AND kind = ? AND state IN ('FINALIZED', 'COMPLETED', 'TERMINATED')
)

-- name: forget_jobs
DELETE FROM job WHERE participant = ? AND given_up_at < ?

-- name: held
SELECT count(*) FROM process WHERE participant = ? AND peer = ? AND kind = ? AND is_held = 1
