-- Every statement on the catalogue's record, for both engines. `{texts:$1}` and `{numbers:$1}` stand for a list that comes as JSON,
-- `{lock}` for the lock on rows that are about to change, `{skip}` for leaving alone what another node holds.

-- name: lock_feed
SELECT sequence FROM catalog_feed{lock}

-- name: set_sequence
UPDATE catalog_feed SET sequence = $1

-- name: sequence
SELECT sequence, forgotten FROM catalog_feed

-- name: epoch
SELECT epoch FROM catalog_feed

-- name: all_members
SELECT id, address, kind, title, state FROM catalog_member

-- name: put_member
INSERT INTO catalog_member (id, address, kind, title, state, next_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET address = excluded.address, kind = excluded.kind, title = excluded.title, state = excluded.state,
    next_at = excluded.next_at, failures = 0, validators = NULL, taken_until = NULL,
    generation = CASE WHEN catalog_member.state = 'listed' THEN catalog_member.generation ELSE 0 END

-- name: name_member
UPDATE catalog_member SET title = $2 WHERE id = $1

-- name: set_state
UPDATE catalog_member SET state = $2, entries = 0, next_at = NULL, validators = NULL, taken_until = NULL, agreements = NULL
WHERE id = $1

-- name: members_in_state
SELECT id, generation FROM catalog_member WHERE state = 'listed' AND id IN {texts:$1}

-- name: numbers_of_origins
SELECT number FROM catalog_product WHERE origin IN {texts:$1}

-- name: claim_due
UPDATE catalog_member SET next_at = $2, taken_until = $2 WHERE id IN (
    SELECT id FROM catalog_member WHERE state = 'listed' AND next_at <= $1 ORDER BY next_at LIMIT $3{skip}
) RETURNING id, address, kind, title, state, entries, generation, crawled_at, failures, next_at, report, validators,
    announced, agreements, agreements_at

-- name: postpone
UPDATE catalog_member SET next_at = $2, taken_until = NULL WHERE id IN {texts:$1} AND state = 'listed'

-- name: bring_forward
UPDATE catalog_member SET next_at = $1, taken_until = NULL WHERE state = 'listed' AND next_at > $2

-- name: take_up
UPDATE catalog_member SET next_at = $1, taken_until = NULL
WHERE state = 'listed' AND generation = 0 AND failures = 0 AND next_at > $1

-- name: next_due
SELECT min(next_at) FROM catalog_member WHERE state = 'listed'

-- name: hasten
UPDATE catalog_member SET announced = announced + 1, next_at = CASE WHEN coalesce(taken_until, 0) > $2 OR next_at < $2 THEN next_at ELSE $2 END
WHERE id = $1 AND state = 'listed' RETURNING id

-- name: member
SELECT id, address, kind, title, state, entries, generation, crawled_at, failures, next_at, report, validators,
    announced, agreements, agreements_at
FROM catalog_member WHERE id = $1

-- name: members
SELECT id, address, kind, title, state, entries, generation, crawled_at, failures, next_at, report, validators,
    announced, agreements, agreements_at
FROM catalog_member WHERE id > $1 AND state = 'listed' AND failures >= $3 ORDER BY id LIMIT $2

-- name: entries_of
SELECT e.member, p.origin, p.id, e.number, e.digest FROM catalog_entry AS e JOIN catalog_product AS p ON p.number = e.number
WHERE e.member IN {texts:$1}

-- name: entries_seen
SELECT count(*) FROM catalog_entry WHERE member = $1 AND terms <> '' AND terms NOT IN {texts:$2}

-- name: find_products
SELECT origin, id, number FROM catalog_product WHERE id IN {texts:$1}

-- name: add_product
INSERT INTO catalog_product (origin, id, added_at, changed_at, readers) VALUES ($1, $2, $3, $3, '[]') ON CONFLICT (origin, id) DO NOTHING

-- name: put_entry
INSERT INTO catalog_entry (member, number, hops, digest, terms, endpoint, via, origin_seen_at, tree, signed, places, placed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (member, number) DO UPDATE SET hops = excluded.hops, digest = excluded.digest, terms = excluded.terms,
    endpoint = excluded.endpoint, via = excluded.via, origin_seen_at = excluded.origin_seen_at, tree = excluded.tree,
    signed = excluded.signed, places = excluded.places, placed = excluded.placed

-- name: places_of
-- where participants have signed that they answer, and where the list of members says so
SELECT p.origin, e.places FROM catalog_product AS p JOIN catalog_entry AS e ON e.number = p.number
WHERE p.id = '' AND p.origin IN {texts:$1} AND e.signed = p.origin AND e.places <> ''
UNION ALL SELECT id, address FROM catalog_member WHERE id IN {texts:$1} AND state = 'listed'

-- name: reported_of
SELECT e.member, e.number, p.origin, e.endpoint, e.placed FROM catalog_product AS p JOIN catalog_entry AS e ON e.number = p.number
WHERE p.origin IN {texts:$1} AND p.id <> '' AND e.hops > 0

-- name: set_placed
UPDATE catalog_entry SET placed = $3 WHERE member = $1 AND number = $2

-- name: mark_entry
UPDATE catalog_entry SET reading = $3 WHERE member = $1 AND number = $2

-- name: unmarked
SELECT number FROM catalog_entry WHERE member = $1 AND reading <> $2

-- name: drop_entry
DELETE FROM catalog_entry WHERE member = $1 AND number = $2

-- name: put_terms
-- an earlier release did not say for whom they are
INSERT INTO catalog_terms (digest, offers, readers) VALUES ($1, $2, $3)
ON CONFLICT (digest) DO UPDATE SET readers = excluded.readers WHERE catalog_terms.readers IS NULL AND excluded.readers IS NOT NULL

-- name: shown
SELECT p.number, p.member, e.digest, p.readers FROM catalog_product AS p
LEFT JOIN catalog_entry AS e ON e.member = p.member AND e.number = p.number WHERE p.number IN {numbers:$1}

-- name: best_entries
-- what its origin says or has signed comes before what others only report
SELECT e.number, e.member, e.digest, e.hops, t.readers FROM catalog_entry AS e LEFT JOIN catalog_terms AS t ON t.digest = e.terms
WHERE e.number IN {numbers:$1}
ORDER BY e.number, CASE WHEN e.hops = 0 THEN 0 WHEN e.signed <> '' AND substr(e.signed, 1, 1) <> '?' THEN 1 ELSE 2 END,
    CASE WHEN e.placed > 0 THEN 0 ELSE 1 END, e.hops, e.member

-- name: withheld
-- what others report of a participant that is suspended here, or that is a member here and was looked at
SELECT p.number FROM catalog_product AS p JOIN catalog_member AS m ON m.id = p.origin
WHERE p.number IN {numbers:$1} AND (m.state = 'suspended' OR (m.state = 'listed' AND m.generation > 0))

-- name: show_product
UPDATE catalog_product SET member = $2, changed_at = $3, sequence = $4, readers = $5 WHERE number = $1

-- name: good_look
UPDATE catalog_member SET entries = (SELECT count(*) FROM catalog_entry WHERE member = $1 AND terms <> ''), generation = generation + 1,
    crawled_at = $2, failures = 0, next_at = CASE WHEN announced > $6 THEN CAST($7 AS bigint) ELSE CAST($3 AS bigint) END, report = $4, validators = $5,
    taken_until = NULL
WHERE id = $1

-- name: same_look
UPDATE catalog_member SET crawled_at = $2, failures = 0, next_at = CASE WHEN announced > $5 THEN CAST($2 AS bigint) ELSE CAST($3 AS bigint) END, report = $4,
    taken_until = NULL
WHERE id = $1 AND state = 'listed'

-- name: bad_look
UPDATE catalog_member SET failures = failures + 1, next_at = CASE WHEN announced > $5 THEN CAST($2 AS bigint) ELSE CAST($3 AS bigint) END, report = $4,
    taken_until = NULL
WHERE id = $1 AND state = 'listed'

-- name: report_agreements
UPDATE catalog_member SET agreements = $2, agreements_at = $3 WHERE id = $1 AND state = 'listed' RETURNING id

-- name: count_listed
SELECT sum(agreements), count(agreements), count(CASE WHEN failures > 0 THEN 1 END) FROM catalog_member WHERE state = 'listed'

-- name: standing
SELECT count(*), count(CASE WHEN failures > 0 THEN 1 END), count(CASE WHEN generation = 0 THEN 1 END)
FROM catalog_member WHERE state = 'listed'

-- name: products
SELECT p.number, p.origin, p.id, p.member, p.added_at, p.changed_at, p.sequence, p.readers, m.crawled_at,
    e.digest, e.terms, e.endpoint, e.via, e.origin_seen_at, e.tree, e.signed, e.placed
FROM catalog_product AS p LEFT JOIN catalog_entry AS e ON e.member = p.member AND e.number = p.number
LEFT JOIN catalog_member AS m ON m.id = p.member
WHERE p.number IN {numbers:$1}

-- name: number_of
SELECT number FROM catalog_product WHERE origin = $1 AND id = $2 AND member IS NOT NULL

-- name: numbers_named
SELECT number FROM catalog_product WHERE id = $1 AND member IS NOT NULL ORDER BY number LIMIT 10

-- name: numbers_of_origin
SELECT number FROM catalog_product WHERE origin = $1 AND id <> '' AND number > $2 AND member IS NOT NULL ORDER BY number LIMIT $3

-- name: numbers_changed
-- the second condition says what the index of the order of changes asks for: without it all products are looked through and sorted
SELECT number FROM catalog_product WHERE sequence > $1 AND sequence > 0 ORDER BY sequence LIMIT $2

-- name: forgettable
-- the sum keeps the planner from walking down all of the order of changes to find the largest that is gone
SELECT max(sequence + 0) FROM catalog_product WHERE member IS NULL AND sequence > 0 AND changed_at < $1

-- name: forget
-- whoever could see them has read that they are gone, or begins anew
UPDATE catalog_product SET sequence = 0, readers = '[]' WHERE member IS NULL AND sequence > 0 AND changed_at < $1 RETURNING number

-- name: forget_gone
DELETE FROM catalog_product WHERE member IS NULL AND sequence > 0 AND changed_at < $1
AND NOT EXISTS (SELECT 1 FROM catalog_entry AS e WHERE e.number = catalog_product.number) RETURNING number

-- name: drop_unseen
DELETE FROM catalog_product WHERE number = $1 AND member IS NULL AND sequence = 0
AND NOT EXISTS (SELECT 1 FROM catalog_entry AS e WHERE e.number = catalog_product.number)

-- name: set_forgotten
UPDATE catalog_feed SET forgotten = $1 WHERE forgotten < $1

-- name: terms
SELECT digest, offers FROM catalog_terms

-- name: terms_among
SELECT digest, offers FROM catalog_terms WHERE digest IN {texts:$1}

-- name: forget_terms
DELETE FROM catalog_terms WHERE digest NOT IN (SELECT terms FROM catalog_entry)

-- name: count_products
SELECT count(*), count(DISTINCT origin) FROM catalog_product WHERE member IS NOT NULL AND id <> ''

-- name: count_seen
SELECT count(*), count(DISTINCT p.origin) FROM catalog_product AS p
JOIN catalog_entry AS e ON e.member = p.member AND e.number = p.number WHERE e.terms <> '' AND e.terms NOT IN {texts:$1}

-- name: count_members
SELECT state, count(*) FROM catalog_member GROUP BY state

-- name: growth
SELECT added_at / 86400000000, count(*) FROM catalog_product WHERE member IS NOT NULL AND id <> '' AND added_at >= $1 GROUP BY 1 ORDER BY 1

-- name: growth_seen
SELECT p.added_at / 86400000000, count(*) FROM catalog_product AS p
JOIN catalog_entry AS e ON e.member = p.member AND e.number = p.number
WHERE p.added_at >= $1 AND e.terms <> '' AND e.terms NOT IN {texts:$2} GROUP BY 1 ORDER BY 1

-- name: waiting
SELECT DISTINCT signed FROM catalog_entry WHERE substr(signed, 1, 1) = '?'

-- name: unjudged
SELECT e.member, e.number, p.origin, p.id, e.digest, e.terms, e.endpoint, e.via, e.origin_seen_at, e.tree, e.signed, e.placed
FROM catalog_entry AS e JOIN catalog_product AS p ON p.number = e.number
WHERE substr(e.signed, 1, 1) = '?' AND e.signed = $1 AND (e.number > $2 OR (e.number = $2 AND e.member > $3))
ORDER BY e.number, e.member LIMIT $4

-- name: themselves
-- the condition that the others hold already is what an index can be asked for
SELECT e.member, e.number, p.origin, p.id, e.digest, e.terms, e.endpoint, e.via, e.origin_seen_at, e.tree, e.signed, e.placed
FROM catalog_product AS p JOIN catalog_entry AS e ON e.number = p.number
WHERE p.id = '' AND p.number >= $1 AND substr(e.signed, 1, 1) <> '?' AND (p.number > $1 OR e.member > $2)
ORDER BY p.number, e.member LIMIT $3

-- name: digests
SELECT member, number, digest FROM catalog_entry WHERE number IN {numbers:$1}

-- name: tell
UPDATE catalog_member SET report = $2, entries = (SELECT count(*) FROM catalog_entry WHERE member = $1 AND terms <> '') WHERE id = $1
