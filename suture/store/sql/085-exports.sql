-- Exports that were asked for, and the files they came to. A file holds row numbers (or, of errors, its bytes): bodies are read
-- as they were at `moment` when the file is fetched. state: waiting, running, done, failed
CREATE TABLE export_job (
  jid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, made INTEGER NOT NULL, expires INTEGER NOT NULL,
  moment INTEGER NOT NULL, state TEXT NOT NULL, progress TEXT NOT NULL, lease INTEGER NOT NULL, zd INTEGER NOT NULL, asked BLOB NOT NULL
);
CREATE INDEX export_job_owner ON export_job (owner, state);
CREATE TABLE export_file (
  jid INTEGER NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL, type TEXT NOT NULL, count INTEGER NOT NULL, zd INTEGER NOT NULL,
  rows BLOB NOT NULL, PRIMARY KEY (jid, n)
);
