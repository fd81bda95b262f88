-- Files that programs sent to be stored: in parts, which go as they are worked on, and what was wrong with their lines.
-- state: arriving, waiting, done, failed, gone; done: parts that are stored; line: how many lines those had
CREATE TABLE import_job (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, made INTEGER NOT NULL, expires INTEGER NOT NULL, state TEXT NOT NULL,
  parts INTEGER NOT NULL, done INTEGER NOT NULL, line INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
  unchanged INTEGER NOT NULL, failed INTEGER NOT NULL, fault TEXT NOT NULL, zd INTEGER NOT NULL, asked BLOB NOT NULL
);
CREATE INDEX import_job_state ON import_job (state, made);
CREATE TABLE import_part (id TEXT NOT NULL, n INTEGER NOT NULL, zd INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id, n));
CREATE TABLE import_fault (id TEXT NOT NULL, n INTEGER NOT NULL, zd INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id, n));
