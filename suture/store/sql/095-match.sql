-- Pairs of Patients that may be one person, and what a person decided about each.
-- at: versions of Patients up to this commit were looked at
CREATE TABLE match_place (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
INSERT INTO match_place (id, at) VALUES (1, 0);
-- low, high: the row numbers of both, the smaller first; state: open, linked, apart, gone; score: hundredths of a bit
-- due: not shown before; who: the caller who decided; why: packed, how they compare and what both looked like
CREATE TABLE match_pair (
  n INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL, state TEXT NOT NULL, grade TEXT NOT NULL,
  score INTEGER NOT NULL, found INTEGER NOT NULL, due INTEGER NOT NULL, decided INTEGER NOT NULL, who TEXT NOT NULL,
  zd INTEGER NOT NULL, why BLOB NOT NULL, UNIQUE (low, high)
);
CREATE INDEX match_pair_high ON match_pair (high);
CREATE INDEX match_pair_state ON match_pair (state, score, n);
