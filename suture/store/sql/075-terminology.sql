-- Code systems that were loaded from their publishers' files; live: 1 when whole, 0 while it is being loaded.
CREATE TABLE term_system (
  tsid INTEGER PRIMARY KEY, url TEXT NOT NULL, version TEXT NOT NULL, live INTEGER NOT NULL, codes INTEGER NOT NULL,
  loaded INTEGER NOT NULL, zd INTEGER NOT NULL, head BLOB NOT NULL
);
CREATE INDEX term_system_url ON term_system (url, version);

-- its concepts in their order, some hundred in each part
CREATE TABLE term_part (
  tsid INTEGER NOT NULL, part INTEGER NOT NULL, zd INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tsid, part)
) WITHOUT ROWID;
