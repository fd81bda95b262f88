-- Trading partners, the agreements with them (BAA), and what was opened without one, by whom and why.
CREATE TABLE partner (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, contact TEXT NOT NULL, created INTEGER NOT NULL, ended INTEGER
) WITHOUT ROWID;

-- first and last day as YYYY-MM-DD, both included; last is NULL until it is given notice; document: the signed paper
CREATE TABLE agreement (
  aid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, partner TEXT NOT NULL, kind TEXT NOT NULL, first TEXT NOT NULL,
  last TEXT, note TEXT NOT NULL, created INTEGER NOT NULL, created_by TEXT NOT NULL, ended INTEGER,
  document_name TEXT, document_hash BLOB, document BLOB
);
CREATE INDEX agreement_partner ON agreement (partner);

CREATE TABLE override (
  oid INTEGER PRIMARY KEY, connection TEXT NOT NULL, reason TEXT NOT NULL, who TEXT NOT NULL, made INTEGER NOT NULL,
  until INTEGER NOT NULL
);
CREATE INDEX override_connection ON override (connection, until);
