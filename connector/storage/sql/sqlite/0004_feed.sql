-- Schema 4. Nothing here: with one writer the ids of steps are the order of transactions. It keeps the numbers of both adapters alike.
SELECT 1;
