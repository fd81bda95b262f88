-- Topic-based subscriptions: who asked for each, how it stands, and its numbered events.
-- since: events count from after this commit (0: not yet, or off); events: the last number given; sent: the last delivered
-- due: when to try (again); beat: when something was last sent; owner: the caller, packed
CREATE TABLE subscription (
  rid INTEGER PRIMARY KEY, fid TEXT NOT NULL, ver INTEGER NOT NULL, status TEXT NOT NULL, since INTEGER NOT NULL,
  events INTEGER NOT NULL, sent INTEGER NOT NULL, tries INTEGER NOT NULL, due INTEGER NOT NULL, beat INTEGER NOT NULL,
  error TEXT NOT NULL, who TEXT NOT NULL, zd INTEGER NOT NULL, owner BLOB NOT NULL
);
CREATE INDEX subscription_who ON subscription (who);
CREATE TABLE subscription_event (
  rid INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, fid TEXT NOT NULL,
  ver INTEGER NOT NULL, PRIMARY KEY (rid, number)
) WITHOUT ROWID;
-- at: versions up to this commit have been looked at; mark: grows with every change of a subscription
CREATE TABLE subscription_place (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, mark INTEGER NOT NULL);
INSERT INTO subscription_place (id, at, mark) VALUES (1, 0, 0);
