-- The record of the federated catalogue, beside the state store: it can be made anew from the members at any time.
CREATE TABLE IF NOT EXISTS catalog_member (
    id text COLLATE "C" PRIMARY KEY,
    address text NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    state text NOT NULL,
    entries bigint NOT NULL DEFAULT 0,
    generation bigint NOT NULL DEFAULT 0,
    crawled_at bigint,
    failures bigint NOT NULL DEFAULT 0,
    next_at bigint,
    report bytea,
    validators bytea
);

CREATE INDEX IF NOT EXISTS catalog_member_due ON catalog_member (next_at) WHERE state = 'listed';

CREATE TABLE IF NOT EXISTS catalog_product (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    member text COLLATE "C",
    added_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    sequence bigint NOT NULL DEFAULT 0,
    UNIQUE (origin, id)
);

CREATE UNIQUE INDEX IF NOT EXISTS catalog_product_sequence ON catalog_product (sequence) WHERE sequence > 0;
CREATE INDEX IF NOT EXISTS catalog_product_id ON catalog_product (id);
-- those that are gone and still in the order of changes: looked for every few seconds, and never many
CREATE INDEX IF NOT EXISTS catalog_product_gone ON catalog_product (changed_at) WHERE member IS NULL AND sequence > 0;

CREATE TABLE IF NOT EXISTS catalog_entry (
    member text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    hops bigint NOT NULL,
    digest text NOT NULL,
    terms text NOT NULL,
    endpoint text NOT NULL,
    via text NOT NULL,
    origin_seen_at bigint,
    tree bytea NOT NULL,
    PRIMARY KEY (member, number)
);

CREATE INDEX IF NOT EXISTS catalog_entry_number ON catalog_entry (number, hops, member);

CREATE TABLE IF NOT EXISTS catalog_terms (
    digest text PRIMARY KEY,
    offers bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS catalog_feed (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    sequence bigint NOT NULL,
    forgotten bigint NOT NULL
);

INSERT INTO catalog_feed (sequence, forgotten) VALUES (0, 0) ON CONFLICT DO NOTHING;

-- what members say of themselves, whether a description is signed, and which announcements came while a member was looked at
ALTER TABLE catalog_member ADD COLUMN IF NOT EXISTS announced bigint NOT NULL DEFAULT 0;
ALTER TABLE catalog_member ADD COLUMN IF NOT EXISTS taken_until bigint;
ALTER TABLE catalog_member ADD COLUMN IF NOT EXISTS about bytea;
ALTER TABLE catalog_member ADD COLUMN IF NOT EXISTS agreements bigint;
ALTER TABLE catalog_member ADD COLUMN IF NOT EXISTS agreements_at bigint;
ALTER TABLE catalog_entry ADD COLUMN IF NOT EXISTS signed text NOT NULL DEFAULT '';

-- What participants say of themselves stands among the entries, under an empty id, and goes on to other catalogues. The column of old is
-- written by replicas of an older release alone; whoever said something is looked at anew.
UPDATE catalog_member SET next_at = CASE state WHEN 'listed' THEN 0 END, validators = NULL, about = NULL WHERE about IS NOT NULL;
-- behind the mark of what is not judged yet stands whose key could not be had
UPDATE catalog_entry SET signed = '?' || (SELECT p.origin FROM catalog_product AS p WHERE p.number = catalog_entry.number) WHERE signed = '?';
CREATE INDEX IF NOT EXISTS catalog_entry_unjudged ON catalog_entry (signed) WHERE substr(signed, 1, 1) = '?';

-- names this record apart from one that was there before it: a number in the order of changes means nothing in another
ALTER TABLE catalog_feed ADD COLUMN IF NOT EXISTS epoch text NOT NULL DEFAULT '';
UPDATE catalog_feed SET epoch = md5(random()::text || clock_timestamp()::text) WHERE epoch = '';

-- which reading of a member anew, in parts, has last seen an entry: what the whole of it has not seen is there no more
ALTER TABLE catalog_entry ADD COLUMN IF NOT EXISTS reading bigint NOT NULL DEFAULT 0;

-- whom the offers under terms name, and who has ever been able to see a product, as a list in JSON; without one it is everybody
ALTER TABLE catalog_terms ADD COLUMN IF NOT EXISTS readers text;
ALTER TABLE catalog_product ADD COLUMN IF NOT EXISTS readers text;

-- Whether the endpoint of what others report of a participant is one where it has signed that it answers: 1 by the description of the product
-- itself, 2 by what it says of itself, which names its places. What was kept before has none yet, and is judged again in the next round.
ALTER TABLE catalog_entry ADD COLUMN IF NOT EXISTS places text;
ALTER TABLE catalog_entry ADD COLUMN IF NOT EXISTS placed bigint NOT NULL DEFAULT 0;
UPDATE catalog_entry SET digest = '', places = '' WHERE places IS NULL AND number IN (SELECT number FROM catalog_product WHERE id = '');
