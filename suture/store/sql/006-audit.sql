-- The audit trail: append-only, numbered without gaps, each row's hash over its own content and the hash before it.
-- Times rise with the numbers, so a span of time is a span of numbers.
CREATE TABLE audit (
  n INTEGER PRIMARY KEY, at INTEGER NOT NULL, who INTEGER NOT NULL, what INTEGER NOT NULL, type INTEGER NOT NULL,
  id TEXT, patient TEXT, query TEXT, outcome INTEGER NOT NULL, purpose INTEGER NOT NULL, address INTEGER NOT NULL,
  detail TEXT, hash BLOB NOT NULL
);
CREATE INDEX audit_patient ON audit (patient, n) WHERE patient IS NOT NULL;
CREATE INDEX audit_who ON audit (who, n);
