-- Writes that their callers may send again: the digest of caller and key, the digest of what was asked, and what came of it.
CREATE TABLE repeatable (
  who BLOB PRIMARY KEY, asked BLOB NOT NULL, at INTEGER NOT NULL, status INTEGER NOT NULL, place TEXT NOT NULL,
  patients TEXT NOT NULL, zd INTEGER, body BLOB
);
CREATE INDEX repeatable_at ON repeatable (at);
