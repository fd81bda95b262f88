-- The gateway: keys as hashes, what processes have taken of each limit, and how much was used by whom.
CREATE TABLE gateway_key (
  kid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, hash BLOB NOT NULL UNIQUE,
  old_hash BLOB UNIQUE, old_until INTEGER NOT NULL, -- a rotated key works on until then
  active INTEGER NOT NULL, expires INTEGER NOT NULL, attributes TEXT NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;

-- one row a limit and whom it is for; `state` is JSON: tokens and when they were counted, or uses by slot of time
CREATE TABLE gateway_budget (bucket TEXT PRIMARY KEY, state TEXT NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX gateway_budget_changed ON gateway_budget (changed);

-- requests that run, by limit and process; what a process holds ends by itself when it does not renew it
CREATE TABLE gateway_running (
  bucket TEXT NOT NULL, process TEXT NOT NULL, held INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (bucket, process)
) WITHOUT ROWID;
CREATE INDEX gateway_running_expires ON gateway_running (expires);

-- `span` is 60 (minutes) or 86400 (days), `at` its beginning in seconds; `spread` is JSON: upper bound of a latency -> how many
CREATE TABLE gateway_usage (
  span INTEGER NOT NULL, at INTEGER NOT NULL, route TEXT NOT NULL, caller TEXT NOT NULL, requests INTEGER NOT NULL,
  refused INTEGER NOT NULL, failed INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
  micros INTEGER NOT NULL, spread TEXT NOT NULL, PRIMARY KEY (span, at, route, caller)
) WITHOUT ROWID;
