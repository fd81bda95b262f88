-- People, programs and what they hold. Tokens are kept as hashes; secrets are sealed under a key of the envelope.
CREATE TABLE user (
  uid TEXT PRIMARY KEY, login TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT NOT NULL, roles TEXT NOT NULL,
  password TEXT NOT NULL, active INTEGER NOT NULL, patient TEXT, attributes TEXT NOT NULL, created INTEGER NOT NULL,
  changed INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE session (
  hash BLOB PRIMARY KEY, uid TEXT NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL, expires INTEGER NOT NULL,
  attributes TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_uid ON session (uid);
CREATE INDEX session_expires ON session (expires);

-- links that work once: the first run, invitations
CREATE TABLE link (
  hash BLOB PRIMARY KEY, purpose TEXT NOT NULL, expires INTEGER NOT NULL, used INTEGER, attributes TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE client (
  cid TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB UNIQUE, scopes TEXT NOT NULL, active INTEGER NOT NULL,
  attributes TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER
) WITHOUT ROWID;

-- failed logins by key (login name, address)
CREATE TABLE failure (key TEXT PRIMARY KEY, count INTEGER NOT NULL, last INTEGER NOT NULL, blocked INTEGER NOT NULL) WITHOUT ROWID;

-- things that may happen once: jti, Idempotency-Key
CREATE TABLE once (key TEXT PRIMARY KEY, expires INTEGER NOT NULL, value BLOB) WITHOUT ROWID;
CREATE INDEX once_expires ON once (expires);

-- the vault: a secret opens only for the origin it was given for
CREATE TABLE secret (name TEXT PRIMARY KEY, origin TEXT NOT NULL, sealed BLOB NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;

-- what is known of a connection (live, paused, agreement, …) and where a poll goes on
CREATE TABLE standing (name TEXT PRIMARY KEY, value TEXT NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE watermark (name TEXT PRIMARY KEY, value TEXT NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
