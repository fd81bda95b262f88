-- What search looks at; see docs/decisions for the layout. Every table is clustered by its whole key.
-- pid: name.nid of 'Type.atom'; tid: tok.tid; sd: res.sd, so that a list is sorted by date and can be probed by exact key.

-- tokens, URLs, composites of two tokens
CREATE TABLE T (pid INTEGER NOT NULL, tid INTEGER NOT NULL, sd INTEGER NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (pid, tid, sd, rid)) WITHOUT ROWID;

-- identifiers and words: values that are nearly unique; tid: their system, or the type of `:of-type`
CREATE TABLE I (pid INTEGER NOT NULL, val TEXT NOT NULL, tid INTEGER NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (pid, val, tid, rid)) WITHOUT ROWID;

-- references to resources here; tgt: res.rid (or a row number kept in dangling)
CREATE TABLE R (pid INTEGER NOT NULL, tgt INTEGER NOT NULL, sd INTEGER NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (pid, tgt, sd, rid)) WITHOUT ROWID;

-- folded strings
CREATE TABLE S (pid INTEGER NOT NULL, val TEXT NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (pid, val, rid)) WITHOUT ROWID;

-- dates: from lo for len microseconds
CREATE TABLE D (pid INTEGER NOT NULL, lo INTEGER NOT NULL, rid INTEGER NOT NULL, len INTEGER NOT NULL,
  PRIMARY KEY (pid, lo, rid, len)) WITHOUT ROWID;

-- the few long ones again by their end: what has begun long ago and still goes on is found here
CREATE TABLE L (pid INTEGER NOT NULL, hi INTEGER NOT NULL, rid INTEGER NOT NULL, lo INTEGER NOT NULL,
  PRIMARY KEY (pid, hi, rid, lo)) WITHOUT ROWID;

-- numbers, quantities, composites of a token and a quantity; k: tok.tid of unit, or of token and unit;
-- hi counts for spans only, which have a pid of their own
CREATE TABLE Q (pid INTEGER NOT NULL, k INTEGER NOT NULL, lo REAL NOT NULL, rid INTEGER NOT NULL, hi REAL NOT NULL,
  PRIMARY KEY (pid, k, lo, rid, hi)) WITHOUT ROWID;

-- the same by resource: a list that is found by other means is probed here, references are followed from here
CREATE INDEX R_rid ON R (rid, pid);
CREATE INDEX S_rid ON S (rid, pid);
CREATE INDEX D_rid ON D (rid, pid);
CREATE INDEX Q_rid ON Q (rid, pid);

-- a type, newest first
CREATE INDEX res_sd ON res (rt, sd) WHERE op <> 3;

-- row numbers given to resources that are referred to but not there yet
CREATE TABLE dangling (rid INTEGER PRIMARY KEY, rt INTEGER NOT NULL, fid NOT NULL);
CREATE UNIQUE INDEX dangling_fid ON dangling (fid, rt);
