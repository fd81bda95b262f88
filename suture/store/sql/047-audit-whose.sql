-- Through which program and grant an access came, and whose records a page or transaction touched when they are several.
-- whose: the patients, joined by 0x1f, as they stand in the chain; audit_whose: the same to be found by.
ALTER TABLE audit ADD COLUMN client INTEGER;
ALTER TABLE audit ADD COLUMN "grant" TEXT;
ALTER TABLE audit ADD COLUMN whose TEXT;
CREATE TABLE audit_whose (patient NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (patient, n)) WITHOUT ROWID;
