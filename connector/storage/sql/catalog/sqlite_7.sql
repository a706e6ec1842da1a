-- Whom the offers under terms name, and who has ever been able to see a product, as a list in JSON; without one it is everybody.
ALTER TABLE catalog_terms ADD COLUMN readers TEXT;
ALTER TABLE catalog_product ADD COLUMN readers TEXT;
