-- Sets of patients too large for a row of the trail, which names a set by its digest: the same set stands here once, in parts of
-- 65,536 row numbers. members: 16-bit places within the part, in their order, or one bit for each place (8,192 bytes)
CREATE TABLE crowd (digest TEXT NOT NULL, part INTEGER NOT NULL, members BLOB NOT NULL, PRIMARY KEY (part, digest));
-- whose data a file of an export holds: row numbers of patients, packed; null in what was made before they were kept
ALTER TABLE export_file ADD COLUMN wzd INTEGER;
ALTER TABLE export_file ADD COLUMN whose BLOB;
