-- Names this record apart from one that was there before it: a number in the order of changes means nothing in another.
ALTER TABLE catalog_feed ADD COLUMN epoch TEXT NOT NULL DEFAULT '';
UPDATE catalog_feed SET epoch = lower(hex(randomblob(16)));
