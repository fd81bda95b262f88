-- What every other table builds on: migrations, interned names, dictionaries, resources and their old versions.
CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL);

-- small things by name: the database's identity, marks of maintenance
CREATE TABLE fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- interned texts: resource types, sources, flows, connections, steps; a number is never given twice
CREATE TABLE name (nid INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- interned (system, code)
CREATE TABLE tok (tid INTEGER PRIMARY KEY, sys TEXT NOT NULL, code TEXT NOT NULL);
CREATE UNIQUE INDEX tok_code ON tok (code, sys);

-- zstd dictionaries; kind: resource, message, content; rows: how many bodies there were when it was made
CREATE TABLE dictionary (
  zd INTEGER PRIMARY KEY, kind TEXT NOT NULL, made INTEGER NOT NULL, rows INTEGER NOT NULL, bytes BLOB NOT NULL
);

-- current versions; fid: 16 bytes when the id is a UUID, else text; op: 1 POST, 2 PUT, 3 DELETE, 4 PATCH
-- pat: the compartment's patient, sd: primary clinical date (both for the index), zd: dictionary of body
CREATE TABLE res (
  rid INTEGER PRIMARY KEY, rt INTEGER NOT NULL, fid NOT NULL, ver INTEGER NOT NULL, upd INTEGER NOT NULL,
  op INTEGER NOT NULL, pat INTEGER, sd INTEGER, zd INTEGER, body BLOB
);
CREATE UNIQUE INDEX res_fid ON res (fid, rt);
CREATE INDEX res_upd ON res (rt, upd);

-- old versions only; hid = rid << 24 | ver keeps the versions of a resource side by side without a second index
CREATE TABLE hist (
  hid INTEGER PRIMARY KEY, rt INTEGER NOT NULL, upd INTEGER NOT NULL, op INTEGER NOT NULL, zd INTEGER, body BLOB
);
CREATE INDEX hist_upd ON hist (rt, upd);
