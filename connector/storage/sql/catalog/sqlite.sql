-- The record of the federated catalogue, in a file of its own: it can be made anew from the members at any time.
CREATE TABLE catalog_member (
    id TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    entries INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    crawled_at INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER,
    report BLOB,
    validators BLOB
) WITHOUT ROWID;

CREATE INDEX catalog_member_due ON catalog_member (next_at) WHERE state = 'listed';

-- `member` is whose entry is shown; without one the product is gone, and keeps its number for the day it comes back
CREATE TABLE catalog_product (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    id TEXT NOT NULL,
    member TEXT,
    added_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    sequence INTEGER NOT NULL DEFAULT 0,
    UNIQUE (origin, id)
);

CREATE UNIQUE INDEX catalog_product_sequence ON catalog_product (sequence) WHERE sequence > 0;
CREATE INDEX catalog_product_id ON catalog_product (id);

CREATE TABLE catalog_entry (
    member TEXT NOT NULL,
    number INTEGER NOT NULL,
    hops INTEGER NOT NULL,
    digest TEXT NOT NULL,
    terms TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    via TEXT NOT NULL,
    origin_seen_at INTEGER,
    tree BLOB NOT NULL,
    UNIQUE (member, number)
);

CREATE INDEX catalog_entry_number ON catalog_entry (number, hops, member);

CREATE TABLE catalog_terms (
    digest TEXT PRIMARY KEY,
    offers BLOB NOT NULL
) WITHOUT ROWID;

-- one row: the number of the last change, and up to which one changes are forgotten
CREATE TABLE catalog_feed (
    sequence INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);

INSERT INTO catalog_feed VALUES (0, 0);
