-- A run that a filter ended is a run that is done; what its reason says is for people only.
ALTER TABLE run ADD COLUMN filtered INTEGER;
UPDATE run SET filtered = 1 WHERE state IS NULL AND open IS NULL AND error LIKE 'filtered at %';
