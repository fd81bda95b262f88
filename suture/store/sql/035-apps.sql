-- Apps and programs that come through OAuth. `record` is what was registered; of secrets only hashes are kept.
CREATE TABLE app (
  cid TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, origin TEXT NOT NULL,
  record TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL, decided INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX app_status ON app (status, created);

-- a client may hold two for a while, so that it can change over; expires 0: until it is taken away
CREATE TABLE app_secret (
  hash BLOB PRIMARY KEY, cid TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX app_secret_cid ON app_secret (cid);
