-- What members say of themselves, whether a description is signed, and which announcements came while a member was looked at.
ALTER TABLE catalog_member ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE catalog_member ADD COLUMN taken_until INTEGER;
ALTER TABLE catalog_member ADD COLUMN about BLOB;
ALTER TABLE catalog_member ADD COLUMN agreements INTEGER;
ALTER TABLE catalog_member ADD COLUMN agreements_at INTEGER;
ALTER TABLE catalog_entry ADD COLUMN signed TEXT NOT NULL DEFAULT '';
