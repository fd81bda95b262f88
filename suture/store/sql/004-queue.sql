-- Runs, their steps, deliveries, attempts, dead letters. state: NULL is the good end (done, delivered).
-- open: 1 until the end; next_at: when it is due (a lease's end while it is worked on), NULL while it stands behind
-- another in its lane, waits for a delivery, or has ended.
CREATE TABLE run (
  run INTEGER PRIMARY KEY, id BLOB NOT NULL, mid INTEGER NOT NULL, flow INTEGER NOT NULL, version INTEGER NOT NULL,
  maps INTEGER NOT NULL, lane TEXT, open INTEGER, state INTEGER, step INTEGER, attempts INTEGER NOT NULL, next_at INTEGER,
  owner INTEGER, started INTEGER NOT NULL, ended INTEGER, error TEXT, replay_of INTEGER, replayed_by INTEGER
);
CREATE UNIQUE INDEX run_id ON run (id);
CREATE INDEX run_message ON run (mid);
CREATE INDEX run_due ON run (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX run_lane ON run (flow, lane, run) WHERE open IS NOT NULL;
CREATE INDEX run_state ON run (state, run) WHERE state IS NOT NULL;

-- sid = run << 12 | number of the step's turn
CREATE TABLE step (
  sid INTEGER PRIMARY KEY, step INTEGER NOT NULL, input INTEGER, started INTEGER NOT NULL, took INTEGER NOT NULL,
  attempts INTEGER NOT NULL, error TEXT, zd INTEGER, output BLOB
);

CREATE TABLE delivery (
  did INTEGER PRIMARY KEY, id BLOB NOT NULL, run INTEGER NOT NULL, mid INTEGER NOT NULL, step INTEGER NOT NULL,
  connection INTEGER NOT NULL, lane TEXT, open INTEGER, state INTEGER, attempts INTEGER NOT NULL, next_at INTEGER,
  owner INTEGER, created INTEGER NOT NULL, ended INTEGER, error TEXT, replayed_by INTEGER, content_type INTEGER NOT NULL,
  attributes TEXT, zd INTEGER, content BLOB
);
CREATE UNIQUE INDEX delivery_id ON delivery (id);
CREATE INDEX delivery_run ON delivery (run);
CREATE INDEX delivery_due ON delivery (connection, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX delivery_lane ON delivery (connection, lane, did) WHERE open IS NOT NULL;
CREATE INDEX delivery_state ON delivery (state, did) WHERE state IS NOT NULL;

-- aid = did << 12 | number of the attempt
CREATE TABLE attempt (
  aid INTEGER PRIMARY KEY, at INTEGER NOT NULL, took INTEGER NOT NULL, outcome INTEGER NOT NULL, answer BLOB, error TEXT
);

-- what gave up; open: 1 until somebody replays or discards it
CREATE TABLE dead (
  dlid INTEGER PRIMARY KEY, id BLOB NOT NULL, mid INTEGER NOT NULL, run INTEGER NOT NULL, did INTEGER,
  flow INTEGER NOT NULL, step INTEGER NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
  open INTEGER, closed INTEGER, closed_by TEXT, replay INTEGER
);
CREATE UNIQUE INDEX dead_id ON dead (id);
CREATE INDEX dead_open ON dead (open, dlid) WHERE open IS NOT NULL;
CREATE INDEX dead_run ON dead (run);
