-- Second factors (secrets sealed under a key of the envelope), recovery codes (hashes), people known by another house's
-- sign-in, and who may see a patient's record in the patient's stead.
CREATE TABLE factor (
  fid TEXT PRIMARY KEY, uid TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL,
  mark INTEGER NOT NULL, attributes TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER
) WITHOUT ROWID;
CREATE INDEX factor_uid ON factor (uid);

CREATE TABLE recovery (hash BLOB PRIMARY KEY, uid TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX recovery_uid ON recovery (uid);

CREATE TABLE identity (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, uid TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER,
  PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX identity_uid ON identity (uid);

CREATE TABLE proxy (
  pid TEXT PRIMARY KEY, uid TEXT NOT NULL, patient TEXT NOT NULL, relation TEXT NOT NULL, granted_by TEXT NOT NULL,
  created INTEGER NOT NULL, expires INTEGER, ended INTEGER
) WITHOUT ROWID;
CREATE INDEX proxy_uid ON proxy (uid);
CREATE INDEX proxy_patient ON proxy (patient);
