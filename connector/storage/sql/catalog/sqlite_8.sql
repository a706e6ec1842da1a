-- Whether the endpoint of what others report of a participant is one where it has signed that it answers: 1 by the description of the product
-- itself, 2 by what it says of itself, which names its places. What was kept before is judged again in the next round.
ALTER TABLE catalog_entry ADD COLUMN places TEXT NOT NULL DEFAULT '';
ALTER TABLE catalog_entry ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;
UPDATE catalog_entry SET digest = '' WHERE number IN (SELECT number FROM catalog_product WHERE id = '');
