-- Which reading of a member anew, in parts, has last seen an entry: what the whole of it has not seen is there no more.
ALTER TABLE catalog_entry ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
