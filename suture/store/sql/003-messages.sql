-- The journal: one row a message, its original exact and packed. mid is the journal time in microseconds, never twice,
-- so that a span of time is a span of keys. state: NULL done, else a number (only what is not done stands in the index).
CREATE TABLE message (
  mid INTEGER PRIMARY KEY, id BLOB NOT NULL, source INTEGER NOT NULL, kind INTEGER NOT NULL, type INTEGER NOT NULL,
  state INTEGER, control TEXT, sender INTEGER, digest INTEGER, same_as INTEGER,
  patients TEXT, attributes TEXT, answer BLOB, zd INTEGER, body BLOB
);
CREATE UNIQUE INDEX message_id ON message (id);
CREATE INDEX message_control ON message (control, source, digest) WHERE control IS NOT NULL;
CREATE INDEX message_type ON message (type, mid);
CREATE INDEX message_state ON message (state, mid) WHERE state IS NOT NULL;
CREATE TABLE message_patient (patient TEXT NOT NULL, mid INTEGER NOT NULL, PRIMARY KEY (patient, mid)) WITHOUT ROWID;
