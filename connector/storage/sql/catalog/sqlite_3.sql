-- Products that are gone and still in the order of changes: looked for every few seconds, and never many.
CREATE INDEX catalog_product_gone ON catalog_product (changed_at) WHERE member IS NULL AND sequence > 0;
