-- What participants say of themselves stands among the entries, under an empty id, and goes on to other catalogues. Whoever said something
-- is looked at anew: what was kept of it cannot be proven a second time.
UPDATE catalog_member SET next_at = 0, validators = NULL WHERE about IS NOT NULL AND state = 'listed';
ALTER TABLE catalog_member DROP COLUMN about;

-- Behind the mark of what is not judged yet stands whose key could not be had.
UPDATE catalog_entry SET signed = '?' || (SELECT p.origin FROM catalog_product AS p WHERE p.number = catalog_entry.number) WHERE signed = '?';
CREATE INDEX catalog_entry_unjudged ON catalog_entry (signed) WHERE substr(signed, 1, 1) = '?';
