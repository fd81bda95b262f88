-- What a person allowed an app, or what a program holds in its own name (uid ''). Codes and tokens are kept as hashes.
CREATE TABLE oauth_grant (
  gid TEXT PRIMARY KEY, client TEXT NOT NULL, uid TEXT NOT NULL, patient TEXT NOT NULL, fhir_user TEXT NOT NULL,
  aud TEXT NOT NULL, scopes TEXT NOT NULL, refresh TEXT NOT NULL, session BLOB, context TEXT NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER, ended INTEGER, why TEXT
) WITHOUT ROWID;
CREATE INDEX oauth_grant_uid ON oauth_grant (uid) WHERE uid <> '';
CREATE INDEX oauth_grant_patient ON oauth_grant (patient) WHERE patient <> '';
CREATE INDEX oauth_grant_client ON oauth_grant (client);
CREATE INDEX oauth_grant_expires ON oauth_grant (expires);

-- used: a code that comes again ends its grant
CREATE TABLE oauth_code (
  hash BLOB PRIMARY KEY, gid TEXT NOT NULL, redirect TEXT NOT NULL, challenge TEXT NOT NULL, details TEXT NOT NULL,
  expires INTEGER NOT NULL, used INTEGER
) WITHOUT ROWID;
CREATE INDEX oauth_code_expires ON oauth_code (expires);

-- kind: access | refresh; used: a refresh token that was exchanged for the next one, and ends its grant when it comes again
CREATE TABLE oauth_token (
  hash BLOB PRIMARY KEY, gid TEXT NOT NULL, kind TEXT NOT NULL, scopes TEXT NOT NULL, created INTEGER NOT NULL,
  expires INTEGER NOT NULL, used INTEGER
) WITHOUT ROWID;
CREATE INDEX oauth_token_gid ON oauth_token (gid);
CREATE INDEX oauth_token_expires ON oauth_token (expires);

-- an app that was opened from our pages: who opened it, with which patient, encounter and so on
CREATE TABLE oauth_launch (
  hash BLOB PRIMARY KEY, client TEXT NOT NULL, uid TEXT NOT NULL, context TEXT NOT NULL, expires INTEGER NOT NULL, used INTEGER
) WITHOUT ROWID;
CREATE INDEX oauth_launch_expires ON oauth_launch (expires);
