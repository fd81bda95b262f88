-- Files that an import fetches by itself, in their order. body: where a file lies and what it should hold (an address can be a
-- secret: packed). state: waiting, done, failed; first_part: the part of the import its lines begin with, -1 before that;
-- line: lines of the files before it; size: bytes that are kept; mark: what the other side calls this version of the file
CREATE TABLE import_file (
  id TEXT NOT NULL, n INTEGER NOT NULL, state TEXT NOT NULL, first_part INTEGER NOT NULL, line INTEGER NOT NULL,
  lines INTEGER NOT NULL, size INTEGER NOT NULL, tries INTEGER NOT NULL, failed INTEGER NOT NULL, mark TEXT NOT NULL,
  zd INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id, n)
);
ALTER TABLE import_job ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
